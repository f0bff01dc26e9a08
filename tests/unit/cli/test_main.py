"""The exit code and the error message of a command."""

import subprocess
import sys
from pathlib import Path

import pytest
from marketstream import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["api"], "missing environment variables: DATABASE_URL"),
        (["local", "nowhere.yaml"], "the manifest nowhere.yaml does not exist"),
        (["local", "--exchange=simulator", "--symbols=BTCUSDT", "--port=high"], "--port is 'high'"),
        (["tail"], "KAFKA_BOOTSTRAP is not set, and there is no local run in .marketstream"),
        (["candles", "BTCUSDT"], "DATABASE_URL is not set, and there is no local run in .marketstream"),
        (["candles", "BTCUSDT", "--data", "nowhere"], "nowhere/endpoints.json does not exist"),
    ],
)
def test_an_expected_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"marketstream {arguments[0]}: {message}")
    assert said.count("\n") == 1


def test_an_invalid_setting_is_an_expected_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PORT", "high")
    assert cli.main(["api"]) == 2
    assert "HTTP_PORT is 'high': expected a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_a_local_run_begins_with_usable_addresses(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = "redis" if variable == "REDIS_URL" else "postgresql"
    monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:1/0?nonsense=1")
    assert cli.main(["local", "--exchange=simulator", "--symbols=BTCUSDT", "--ephemeral", "--port=0"]) == 2
    out, err = capsys.readouterr()
    assert f"{variable} has the parameter nonsense, which" in err
    assert (out, err.count("\n")) == ("", 1), "nothing was started"


def test_the_module_runs_the_command(elsewhere: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "marketstream", "tail"], capture_output=True, text=True, check=False, cwd=elsewhere
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("marketstream tail: KAFKA_BOOTSTRAP is not set")
