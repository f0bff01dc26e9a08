"""The end of a pause, even if Kafka fails."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.positions import Position
from marketstream.settings import Settings, SettingsError
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Pair
from marketstream_operator.reconcile import drain
from marketstream_operator.reconcile.drain import NOT_KNOWN, PARALLEL_GROUPS, Drains, Pause
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.unit.operator.reconcile.fakes import answered

KEY = StreamKey("markets", "majors")
SPEC = Spec(exchange="binance", symbols=("BTCUSDT",), paused=True)
PAIRS = [Pair(f"p{number}", (f"S{number}",)) for number in range(3 * PARALLEL_GROUPS)]
PROCESSOR = Deployment(
    KEY, "majors-p0-processor", "u", 1, "p0", "processor", "binance", ("S0",), "o", "d", "s", "m", 1, 1, True, True
)
CONNECTION = Connection({}, {}, Settings(), "")


class World:
    """Drains, the probers that they ask, and the answers of Kafka: an error, or the number of records left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit_s: int = 60) -> None:
        self.asked: list[str] = []
        self.answer: Exception | int = 0
        self.pods = 0
        self.now_s = 1000.0
        self.probers = Probers(lambda _: None, lambda: self.now_s)
        self.drains = Drains(self, OperatorSettings(drain_limit_s=limit_s), self.probers)  # type: ignore[arg-type]
        monkeypatch.setattr(drain, "group_positions", self._positions)

    async def list(self, *_: Any) -> AsyncIterator[Any]:
        for _pod in range(self.pods):
            yield {"metadata": {}, "status": {}}

    async def _positions(self, _: Settings, group: str, *__: Any) -> dict[str, Position]:
        self.asked.append(group)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"topic": Position(10 - self.answer, 10)}

    async def stage(self, *live: Deployment, last: str = "NotPaused") -> Pause:
        return await self.drains.stage(KEY, SPEC, PAIRS, live, last, CONNECTION)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BrokerUnavailableError("Kafka is away"), "cannot be used: no answer in time"),
        (SettingsError("the login lacks a password"), "the login lacks a password"),
    ],
)
async def test_a_kafka_that_cannot_be_asked_ends_in_a_time_out_that_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    for limit_s, reason in ((60, "Draining"), (0, "DrainTimeout")):
        world = World(monkeypatch, limit_s)
        world.answer = error
        assert (await world.stage(PROCESSOR)).reason == reason, "Kafka has not answered yet"
        await answered(world.probers)
        pause = await world.stage(PROCESSOR)
        assert (pause.reason, words in pause.message) == (reason, True)
        assert len(world.asked) == PARALLEL_GROUPS, "requests after a failure would only take time"


async def test_an_answer_from_before_the_last_producer_ended_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    assert (await world.stage(PROCESSOR)).message == NOT_KNOWN
    await answered(world.probers)
    world.pods = 1
    world.now_s += 1
    assert (await world.stage(PROCESSOR)).message == "1 producer pod has not stopped yet"
    world.pods = 0
    world.now_s += 1
    assert (await world.stage(PROCESSOR)).reason == "Draining"
    await answered(world.probers)
    assert (await world.stage(PROCESSOR)).reason == "Drained"


async def test_processors_that_are_behind_are_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.answer = 3
    for _ in range(2):
        await world.stage(PROCESSOR)
        await answered(world.probers)
        assert "have not reached the end" in (await world.stage(PROCESSOR)).message
        world.now_s += 1
    world.answer = 0
    await world.stage(PROCESSOR)
    await answered(world.probers)
    assert (await world.stage(PROCESSOR)).reason == "Drained"


async def test_processors_that_have_stopped_do_not_start_again_while_kafka_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An earlier leader has stopped them, and was killed before it could report the end."""
    world = World(monkeypatch)
    pause = await world.stage(last="Draining")
    assert (pause.reason, pause.runs) == ("Draining", (False, False))
    await answered(world.probers)
    assert (await world.stage(last="Draining")).reason == "Drained"
