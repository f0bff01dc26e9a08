"""The end of a pause, even if Kafka fails."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.settings import Settings, SettingsError
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile import drain
from marketstream_operator.reconcile.drain import PARALLEL_GROUPS, Drains
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

KEY = StreamKey("markets", "majors")
SPEC = Spec(exchange="binance", symbols=("BTCUSDT",), paused=True)
PAIRS = [Pair(f"p{number}", (f"S{number}",)) for number in range(3 * PARALLEL_GROUPS)]
PROCESSOR = Deployment(
    KEY, "majors-p0-processor", "u", 1, "p0", "processor", "binance", ("S0",), "o", "d", "s", "m", 1, 1, True, True
)
CONNECTION = Connection({}, {}, Settings(), "")


class NoPods:
    """An API without pods."""

    async def list(self, *_: Any) -> AsyncIterator[Any]:
        for pod in ():
            yield pod


@pytest.mark.parametrize(
    "error", [BrokerUnavailableError("Kafka is away"), SettingsError("the login lacks a password")]
)
async def test_a_kafka_that_cannot_be_asked_ends_in_a_time_out_that_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    asked: list[str] = []

    async def positions(_: Settings, group: str, *__: Any) -> None:
        asked.append(group)
        raise error

    monkeypatch.setattr(drain, "group_positions", positions)
    for limit_s, reason in ((60, "Draining"), (0, "DrainTimeout")):
        asked.clear()
        drains = Drains(NoPods(), OperatorSettings(drain_limit_s=limit_s))  # type: ignore[arg-type]
        pause = await drains.stage(KEY, SPEC, PAIRS, [PROCESSOR], "NotPaused", CONNECTION)
        assert (pause.reason, str(error) in pause.message) == (reason, True)
        assert len(asked) == PARALLEL_GROUPS, "requests after a failure would only take time"
