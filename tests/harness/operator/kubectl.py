"""kubectl, run as a program."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

_LIMIT = 60.0


class KubectlError(Exception):
    """A command of kubectl failed. The message holds the error output of kubectl."""


class Kubectl:
    """kubectl with a cache of its own and without the user's configuration."""

    def __init__(self, program: Path, home: Path) -> None:
        self._program = program
        self._home = home

    async def run(self, kubeconfig: Path, args: Sequence[str], stdin: str | None = None) -> str:
        """Run a command and return its output. Raises KubectlError when it fails, TimeoutError after a minute."""
        process = await asyncio.create_subprocess_exec(
            self._program,
            *args,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._home), "KUBECONFIG": str(kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_LIMIT):
                out, err = await process.communicate(None if stdin is None else stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {err.decode(errors='replace').strip()}")
        return out.decode()
