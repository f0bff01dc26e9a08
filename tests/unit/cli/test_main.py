"""The command line: its help, its speed, and how it says that something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from marketstream import cli
from marketstream.cli.addresses import AddressesError, find_settings
from marketstream.settings import SettingsError

COMMANDS = ("local", "producer", "processor", "api", "tail", "candles")

ENDPOINTS = '{"kafka_bootstrap": "127.0.0.1:1", "database_url": "postgresql://h/d", "redis_url": "redis://h/0"}'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and no address in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP", "DATABASE_URL", "REDIS_URL", "HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: marketstream {command}" in capsys.readouterr().out


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"  {command}" in shown for command in COMMANDS)


def test_help_imports_no_library() -> None:
    script = (
        "import sys, marketstream.cli.parser as p; p.make_parser().format_help();"
        "print(sorted({'asyncio', 'aiokafka', 'asyncpg', 'redis', 'fastapi', 'msgspec', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["candles"], "the following arguments are required: SYMBOL"),
        (["candles", "BTCUSDT", "--interval", "7m"], "invalid choice: '7m'"),
        (["candles", "BTCUSDT", "--limit", "0"], "invalid whole number above 0 value: '0'"),
        (["tail", "--kind", "noise"], "invalid choice: 'noise'"),
    ],
)
def test_words_that_are_not_known(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["api"], "missing in the environment: DATABASE_URL"),
        (["local", "nowhere.yaml"], "there is no manifest nowhere.yaml"),
        (["local", "--exchange=simulator", "--symbols=BTCUSDT", "--port=high"], "--port is 'high'"),
        (["tail"], "no KAFKA_BOOTSTRAP in the environment, and no local run in .marketstream"),
        (["candles", "BTCUSDT"], "no DATABASE_URL in the environment, and no local run in .marketstream"),
        (["candles", "BTCUSDT", "--data", "nowhere"], "there is no nowhere/endpoints.json"),
    ],
)
def test_an_expected_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"marketstream {arguments[0]}: {message}")
    assert said.count("\n") == 1


def test_a_setting_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HTTP_PORT", "high")
    assert cli.main(["api"]) == 2
    assert "HTTP_PORT is 'high': expected a whole number" in capsys.readouterr().err


def test_the_module_is_the_command(elsewhere: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "marketstream", "tail"], capture_output=True, text=True, check=False, cwd=elsewhere
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("marketstream tail: no KAFKA_BOOTSTRAP")


class TestAddresses:
    def test_the_environment_comes_first(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(elsewhere / ".marketstream", ENDPOINTS)
        monkeypatch.setenv("KAFKA_BOOTSTRAP", "given:9092")
        assert find_settings("kafka_bootstrap", None).kafka_bootstrap == "given:9092"

    def test_then_the_local_run(self, elsewhere: Path) -> None:
        write(elsewhere / ".marketstream", ENDPOINTS)
        assert find_settings("kafka_bootstrap", None).kafka_bootstrap == "127.0.0.1:1"

    def test_a_directory_that_is_named_wins(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(elsewhere / "data", ENDPOINTS)
        monkeypatch.setenv("DATABASE_URL", "postgresql://given/d")
        assert find_settings("database_url", Path("data")).database_url == "postgresql://h/d"

    def test_nothing_at_all(self) -> None:
        with pytest.raises(SettingsError, match="start one with `make run`"):
            find_settings("redis_url", None)

    @pytest.mark.parametrize("content", ["{", "{}", '{"kafka_bootstrap": 5}'])
    def test_a_file_that_makes_no_sense(self, elsewhere: Path, content: str) -> None:
        write(elsewhere / ".marketstream", content)
        with pytest.raises(AddressesError, match=r"\.marketstream/endpoints\.json is not what a local run writes"):
            find_settings("redis_url", None)


def write(directory: Path, content: str) -> None:
    directory.mkdir()
    (directory / "endpoints.json").write_text(content, encoding="utf-8")
