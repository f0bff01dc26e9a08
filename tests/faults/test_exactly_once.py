"""Exactly once, and never a false claim, under SIGKILL, SIGSTOP and restarts of everything at random instants.

FAULT_SEED repeats the trades and the faults of a run, though not the timing of processes and servers. FAULT_ROUNDS sets
the number of rounds, with one fault each.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Final

import pytest

from tests.faults.pipeline import Servers
from tests.faults.run import Run

SEED: Final = int(os.environ.get("FAULT_SEED") or secrets.randbelow(10**9))


def rounds(usual: int) -> int:
    """Return FAULT_ROUNDS, or the usual number."""
    return int(os.environ.get("FAULT_ROUNDS") or usual)


@pytest.mark.parametrize("rounds", [rounds(20), pytest.param(rounds(100), marks=pytest.mark.soak)])
async def test_every_candle_is_right_whatever_fails(
    own_servers: Servers,
    tmp_path: Path,
    rounds: int,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # logs a lot while Kafka is unavailable
    with capsys.disabled():
        print(f"\nFAULT_SEED={SEED}, {rounds} rounds, logs in {tmp_path}")
    run = Run(own_servers, SEED, rounds, tmp_path)
    try:
        await run.play()
    except BaseException as error:
        error.add_note(f"FAULT_SEED={SEED} FAULT_ROUNDS={rounds}; faults:\n" + "\n".join(run.pipeline.history))
        raise
    with capsys.disabled():
        print(run.summary())
