"""Launching a server's program: tied to the life of its parent, in an environment of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from marketstream.local.errors import ServerStartError

KILLED_S: Final = 5.0
"""Maximum seconds to wait for a program that was killed."""


def wrapped(command: Sequence[str | Path], death_signal: signal.Signals, privileges: Sequence[str]) -> list[str]:
    """Return the command wrapped in setpriv, which has the kernel send a signal when the parent dies.

    `privileges` are further options of setpriv. Without setpriv on the PATH, return the command itself. A preexec_fn
    could do the same, but it would run Python between fork and exec, which is unsafe in a process with threads.

    Raises ServerStartError if `privileges` are needed and setpriv is missing.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if privileges:
            raise ServerStartError(
                "PostgreSQL cannot run as root: dropping root needs setpriv, which is not on the PATH. "
                "Install util-linux, or run as an ordinary user."
            )
        return [str(part) for part in command]
    return [
        setpriv,
        *privileges,
        "--pdeathsig",
        death_signal.name.removeprefix("SIG"),
        "--",
        *(str(part) for part in command),
    ]


def environment() -> dict[str, str]:
    """Return the environment of every server."""
    # Variables of the terminal (JAVA_TOOL_OPTIONS, PGPORT, PGDATA …) must not reach the servers. A UTF-8 locale lets
    # Java handle any path.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


async def run_to_end(command: Sequence[str | Path], folder: Path, privileges: Sequence[str], stdin: str) -> None:
    """Run a program in a folder until it ends. The program outlives neither the caller's process nor its task.

    Raises ServerStartError, with the end of the output, if the program fails.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603  a quick start of a program from an installed wheel
        wrapped(command, signal.SIGKILL, privileges),
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    ending = asyncio.ensure_future(asyncio.to_thread(process.communicate, stdin))
    try:
        output, _ = await asyncio.shield(ending)
    finally:
        if process.poll() is None:
            process.kill()
            await asyncio.wait([ending], timeout=KILLED_S)  # otherwise its pipes and its exit code would be left over
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-20:])
        name = Path(command[0]).name
        raise ServerStartError(f"{name} in {folder} failed with exit code {process.returncode}:\n{tail}")
