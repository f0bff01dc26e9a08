"""The data directory belongs to one copy, whatever happened to the previous copy."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from marketstream.local.directory import DataDirectory, end_leftovers, server_processes
from marketstream.local.errors import DirectoryInUseError, DirectoryUnusableError
from marketstream.local.servers import EmbeddedServers

from tests.harness.clients import eventually, query, start_copy


def test_a_second_copy_is_refused(tmp_path: Path) -> None:
    message = rf"{tmp_path} is in use .*process {os.getpid()}.*--data"
    with DataDirectory(tmp_path), pytest.raises(DirectoryInUseError, match=message):
        DataDirectory(tmp_path).__enter__()
    with DataDirectory(tmp_path):
        pass


async def test_a_running_copy_is_not_disturbed(tmp_path: Path) -> None:
    copy = await start_copy(tmp_path)
    try:
        with pytest.raises(DirectoryInUseError, match=str(copy.pid)):
            await EmbeddedServers(tmp_path).__aenter__()
        assert (tmp_path / "endpoints.json").exists()
    finally:
        copy.terminate()
        await copy.wait()


async def test_the_servers_of_a_killed_copy_stop(tmp_path: Path) -> None:
    copy = await start_copy(tmp_path)
    assert len(server_processes(tmp_path)) >= 3
    copy.kill()
    await copy.wait()
    await eventually(lambda: server_processes(tmp_path) == [])


async def test_leftovers_of_a_killed_copy_are_ended(tmp_path: Path) -> None:
    copy = await start_copy(tmp_path)
    leftovers = server_processes(tmp_path)
    for process in leftovers:
        process.suspend()  # so that they cannot react to the signal at the death of their parent
    copy.kill()
    await copy.wait()
    assert all(process.is_running() for process in leftovers)
    # The system may have reused the pid in a stale file: here, it is the pid of another process.
    pid_file = tmp_path / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split()[0], str(os.getppid()), 1))

    async with EmbeddedServers(tmp_path) as servers:
        assert not any(process.is_running() for process in leftovers)
        assert await query(servers.database_url, "SELECT 1")


async def test_only_servers_are_ended(tmp_path: Path) -> None:
    bystander = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", str(tmp_path / "postgres"), cwd=tmp_path, stdin=subprocess.PIPE
    )
    end_leftovers(tmp_path)
    assert bystander.returncode is None
    bystander.send_signal(signal.SIGKILL)
    await bystander.wait()


def test_a_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryUnusableError, match=r"Not a directory.*--data DIR"):
        DataDirectory(tmp_path / "file" / "data").__enter__()
