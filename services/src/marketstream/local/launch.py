"""How a server's program is launched: tied to the life of its parent, in an environment of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from marketstream.local.errors import ServerStartError


def wrapped(command: Sequence[str | Path], death_signal: signal.Signals, privileges: Sequence[str]) -> list[str]:
    """The command behind setpriv, which asks the kernel for a signal when the parent dies and then becomes the command.

    A preexec_fn could do the same, but runs Python between fork and exec, which is not safe beside threads.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if privileges:
            raise ServerStartError(
                "Running as root needs setpriv to give up root for PostgreSQL, and it is not on the PATH. "
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
    """The environment of every server."""
    # What the terminal sets (JAVA_TOOL_OPTIONS, PGPORT, PGDATA …) must not reach the servers. A UTF-8 locale lets Java
    # handle any path.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


async def run_to_end(command: Sequence[str | Path], folder: Path, privileges: Sequence[str], stdin: str) -> None:
    """Run a program in a folder until it ends; it does not outlive its caller, nor the caller's task.

    Raises ServerStartError with the end of its output when it fails.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603  starting is quick, the program is of an installed wheel
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
    try:
        output, _ = await asyncio.to_thread(process.communicate, stdin)
    finally:
        if process.poll() is None:
            process.kill()
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-20:])
        raise ServerStartError(f"{Path(command[0]).name} in {folder} failed with code {process.returncode}:\n{tail}")
