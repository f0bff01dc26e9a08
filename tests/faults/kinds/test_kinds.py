"""Each kind of fault, with a process killed in its midst: no wrong candle, no false claim, and nothing given up.

FAULT_SEED repeats the trades and the faults of a run, though not the timing of processes and servers. FAULT_ROUNDS sets
the number of rounds, with one fault each, and FAULT_KIND the only kind of fault.
"""

import os
import secrets
from pathlib import Path
from typing import Final

import pytest
from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings

from tests.faults.kinds.exchange import NAME, RATES, SPEED
from tests.faults.kinds.kinds import Kinds
from tests.faults.kinds.run import Run

SEED: Final = int(os.environ.get("FAULT_SEED") or secrets.randbelow(10**9))
PARTS: Final = 5
PART_ROUNDS: Final = 40
"""PARTS times PART_ROUNDS are 200 rounds. A part takes less than 14 minutes."""


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, topic_prefix: str) -> Settings:
    """Return the settings of all services. The run adds the addresses of the exchange and of Redis."""
    return Settings(
        kafka_bootstrap=kafka.address,
        database_url=database_url,
        exchange=NAME,
        symbols=tuple(RATES),
        topic_prefix=topic_prefix,
        consumer_group=topic_prefix,
        heartbeat_ms=1000 // SPEED,
        kafka_session_timeout_ms=1000,
        max_age_s=30,
    )


@pytest.mark.parametrize(
    ("part", "rounds"),
    [
        pytest.param(0, len(Kinds.names()), id="each once"),
        *(pytest.param(part, PART_ROUNDS, marks=pytest.mark.soak) for part in range(1, PARTS + 1)),
    ],
)
async def test_every_candle_is_right_whatever_happens_outside(
    settings: Settings, tmp_path: Path, part: int, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = SEED + part
    rounds = int(os.environ.get("FAULT_ROUNDS") or rounds)
    with capsys.disabled():
        print(f"\nFAULT_SEED={SEED}, part {part}: {rounds} rounds, logs in {tmp_path}")
    run = Run(settings, seed, rounds, tmp_path, os.environ.get("FAULT_KIND") or None)
    try:
        summary = await run.play()
    except BaseException as error:
        error.add_note(f"FAULT_SEED={SEED}, part {part}, {rounds} rounds; faults:\n" + "\n".join(run.history))
        raise
    finally:
        with capsys.disabled():
            print("seconds of each round:", ", ".join(f"{name} {took:.0f}" for name, took in run.took))
    with capsys.disabled():
        print(summary)
