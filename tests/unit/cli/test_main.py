"""The exit code and the error message of a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from marketstream import cli
from marketstream.exchanges.errors import HistoryUnavailableError, RequestRefusedError, UnknownSymbolError
from marketstream.failures import Failure
from marketstream.kafka.errors import BrokerRefusedError, BrokerUnavailableError, TopicMissingError
from marketstream.local import run
from marketstream.postgres.errors import MigrationError, StoreRefusedError, StoreUnavailableError
from marketstream.redis.errors import LiveStoreContentError, LiveStoreUnavailableError
from marketstream.settings import SettingsError


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
    monkeypatch.setattr(run, "configure_logging", lambda *_: None)  # it would stay for all later tests
    scheme = "redis" if variable == "REDIS_URL" else "postgresql"
    monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:1/0?nonsense=1")
    assert cli.main(["local", "--exchange=simulator", "--symbols=BTCUSDT", "--ephemeral", "--port=0"]) == 2
    out, err = capsys.readouterr()
    assert f"{variable} has the parameter nonsense, which" in err
    assert (out, err.count("\n")) == ("", 1), "nothing was started"


PASSWORD = "postgresql://marketstream:s3cret@db/market"  # noqa: S105


def test_the_last_line_of_a_service_ends_in_words_for_programs(elsewhere: Path) -> None:
    """A process as in a pod, whose setting comes from the wrong key of a Secret."""
    environment = {"SIMULATOR_SEED": PASSWORD, "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [sys.executable, "-m", "marketstream", "producer"], capture_output=True, text=True, check=False, cwd=elsewhere,
        env=environment,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].endswith("[setting_invalid SIMULATOR_SEED]")
    assert "s3cret" not in ran.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SettingsError("no", "PACK_MS"), "[setting_invalid PACK_MS]"),
        (SettingsError("no"), "[setting_invalid]"),
        (BrokerUnavailableError("no"), "[kafka_unavailable]"),
        (TopicMissingError("no"), "[topic_missing]"),
        (BrokerRefusedError("no"), "[kafka_refused]"),
        (StoreUnavailableError("no"), "[database_unavailable]"),
        (StoreRefusedError("no"), "[database_refused]"),
        (MigrationError("no"), "[database_migration_failed]"),
        (LiveStoreUnavailableError("no"), "[redis_unavailable]"),
        (LiveStoreContentError("no"), "[redis_refused]"),
        (UnknownSymbolError("no", ["X"]), "[symbol_unknown]"),
        (RequestRefusedError("no", 1), "[exchange_refused]"),
        (HistoryUnavailableError("no"), "[exchange_unavailable]"),
        (OSError("no"), "[system_error]"),
    ],
)
@pytest.mark.parametrize("service", cli.SERVICES)
def test_every_expected_error_has_a_code(
    error: Exception, words: str, service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main([service]) == 2
    line = capsys.readouterr().err.strip()
    assert line == f"marketstream {service}: no {words}"
    read = Failure.read(line)
    assert read is not None
    assert read.words == words


def test_the_module_runs_the_command(elsewhere: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "marketstream", "tail"], capture_output=True, text=True, check=False, cwd=elsewhere
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("marketstream tail: KAFKA_BOOTSTRAP is not set")
