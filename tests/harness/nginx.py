"""A real nginx that serves the API under a path."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from marketstream.local.loopback import free_port

from tests.harness.needs import unavailable

START_S = 30.0
"""Seconds for nginx to accept connections."""

FORWARD_PREFIX = "proxy_set_header X-Forwarded-Prefix /ms;"
"""The directive by which nginx reports the path that it removes."""

_CONFIG = """
{user}
daemon off;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{
    default upgrade;
    '' '';
  }}
  server {{
    listen 127.0.0.1:{listen};
    location /ms/ {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      {directives}
    }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, api: str, directives: str = FORWARD_PREFIX, *, strips: bool = True) -> AsyncIterator[str]:
    """Run nginx in `folder` and yield its URL, under which /ms/ leads to the API at the URL `api`.

    By default, nginx removes /ms from paths; if it does not, it is to send no header either. The header Host is
    deliberately not passed on, because a proxy may keep the public name to itself.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        unavailable("No nginx on the PATH: on Debian and Ubuntu, apt install nginx-light.")
    listen, config = free_port(), folder / "nginx.conf"
    config.write_text(_CONFIG.format(
        user="user root;" if os.geteuid() == 0 else "", folder=folder, listen=listen, directives=directives,
        upstream=f"{api}/" if strips else api,
    ))  # fmt: skip
    with (folder / "nginx.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-p", str(folder), "-c", str(config), "-e", "stderr", stdout=log, stderr=log
        )
    try:
        await _accepts(listen, process, folder)
        yield f"http://127.0.0.1:{listen}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _accepts(port: int, process: asyncio.subprocess.Process, folder: Path) -> None:
    async with asyncio.timeout(START_S):
        while True:
            assert process.returncode is None, (folder / "nginx.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return await writer.wait_closed()
