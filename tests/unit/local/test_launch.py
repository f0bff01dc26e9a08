"""Programs are tied to the life of their parent, and get an environment of their own."""

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest
from marketstream.local import launch
from marketstream.local.errors import ServerStartError
from marketstream.local.launch import environment, run_to_end, wrapped


def test_a_command_dies_with_its_parent_where_setpriv_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda _: "setpriv")
    command = wrapped(["/bin/server", Path("/data")], signal.SIGINT, ["--clear-groups"])
    assert command == ["setpriv", "--clear-groups", "--pdeathsig", "INT", "--", "/bin/server", "/data"]


def test_without_setpriv_only_privileges_are_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda _: None)
    assert wrapped(["/bin/server", Path("/data")], signal.SIGINT, ()) == ["/bin/server", "/data"]
    with pytest.raises(ServerStartError, match="dropping root needs setpriv"):
        wrapped(["/bin/server"], signal.SIGINT, ["--clear-groups"])


def test_variables_of_the_terminal_do_not_reach_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    assert environment().keys() == {"PATH", "LC_ALL", "TZ"}


async def test_a_program_runs_in_its_folder_with_its_input(tmp_path: Path) -> None:
    script = "import sys; open('said', 'w').write(sys.stdin.read())"
    await run_to_end([sys.executable, "-c", script], tmp_path, (), "hello")
    assert (tmp_path / "said").read_text() == "hello"


async def test_a_program_that_fails_shows_the_end_of_its_output(tmp_path: Path) -> None:
    script = "import sys; print('no room'); sys.exit(3)"
    with pytest.raises(ServerStartError, match=r"failed with exit code 3:\nno room"):
        await run_to_end([sys.executable, "-c", script], tmp_path, (), "")


async def test_a_program_ends_with_the_task_that_runs_it(tmp_path: Path) -> None:
    script = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'ready'); time.sleep(60)"
    running = asyncio.create_task(run_to_end([sys.executable, "-c", script], tmp_path, (), ""))
    async with asyncio.timeout(10):
        while not (tmp_path / "ready").exists():  # noqa: ASYNC110  another process sets no event
            await asyncio.sleep(0.01)
        process = psutil.Process(int((tmp_path / "ready").read_text()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
