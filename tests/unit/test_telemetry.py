"""Log lines on standard error, from a process of their own: the configuration is global."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging
from marketstream.telemetry import configure_logging, logger
configure_logging({level!r}, {form!r})
log = logger("a.module")
log.debug("detail recorded")
log.info("trade counted", symbol="BTCUSDT", n=1)
logging.getLogger("a.library").info("as libraries do")
def fails(password):
    raise ValueError("broken")
try:
    fails("s3cr3t")
except ValueError:
    log.exception("work failed")
"""


def logged(level: str, form: str) -> str:
    """Return what the program writes to standard error, after a check that standard output stays empty."""
    program = [sys.executable, "-c", PROGRAM.format(level=level, form=form)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_json_lines_have_the_event_and_its_values() -> None:
    lines = [json.loads(line) for line in logged("info", "json").splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("trade counted", "info", "a.module"),
        ("as libraries do", "info", "a.library"),
        ("work failed", "error", "a.module"),
    ]
    assert (lines[0]["symbol"], lines[0]["n"]) == ("BTCUSDT", 1)
    assert lines[0]["timestamp"].endswith("Z")
    assert "ValueError: broken" in lines[2]["exception"]


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variables(form: str) -> None:
    text = logged("info", form)
    assert "ValueError: broken" in text
    assert text.count("s3cr3t") == text.count('fails("s3cr3t")'), "only in the source line, if at all"


REPEATING = """
import logging
from marketstream.telemetry import configure_logging
configure_logging("info", "json")
for number in range(1000):
    logging.getLogger("aiokafka.client").warning("Topic %s not found in cluster metadata", "trades.a")
logging.getLogger("aiokafka.client").warning("Topic %s not found in cluster metadata", "trades.b")
for number in range(3):
    logging.getLogger("marketstream.processor").warning("record rejected")
"""


def test_a_library_that_repeats_itself_does_not_fill_the_disk() -> None:
    done = subprocess.run([sys.executable, "-c", REPEATING], capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events == [
        "Topic trades.a not found in cluster metadata",
        "Topic trades.b not found in cluster metadata",
        *["record rejected"] * 3,
    ]


@pytest.mark.parametrize(("level", "events"), [("debug", 4), ("info", 3), ("warning", 1)])
def test_lines_below_the_level_are_left_out(level: str, events: int) -> None:
    assert len(logged(level, "json").splitlines()) == events
