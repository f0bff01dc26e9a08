"""The stop of a producer, and the errors that end it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from marketstream.codec import TradesRecord
from marketstream.exchanges.base import FeedEvent
from marketstream.exchanges.errors import ExchangeError, UnknownSymbolError
from marketstream.producer.service import run_producer
from marketstream.service import Health

from tests.unit.producer.scripted import NOW_US, SETTINGS, Kafka, Script, received, run


async def test_trades_received_before_the_stop_are_sent(kafka: Kafka) -> None:
    stop = asyncio.Event()

    class Stops(Script):
        async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            yield received(1, NOW_US)
            stop.set()
            await asyncio.Event().wait()

    await run_producer(SETTINGS.but(pack_ms=60_000), stop, exchange=Stops())
    assert [type(record) for record, _ in kafka.sent] == [TradesRecord]


async def test_a_stop_in_the_middle_of_sending_loses_nothing(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = asyncio.Event()
    hand_over = kafka.send

    async def first_stops_and_hangs(topic: str, value: bytes) -> "asyncio.Future[bool]":
        if not stop.is_set():
            stop.set()
            await asyncio.Event().wait()
        return await hand_over(topic, value)

    monkeypatch.setattr(kafka, "send", first_stops_and_hangs)
    await run_producer(SETTINGS, stop, exchange=Script(received(1, NOW_US), received(2, NOW_US), None))
    ids = [id_ for record, _ in kafka.sent if isinstance(record, TradesRecord) for id_ in record.trades.all_ids()]
    assert ids == [1, 2]


@pytest.mark.parametrize("error", [ExchangeError("no such recording"), RuntimeError("a mistake")])
async def test_a_permanent_error_ends_the_producer(kafka: Kafka, error: Exception) -> None:
    health = Health()
    task = await run(Script(received(1, NOW_US), error), asyncio.Event(), health)
    with pytest.raises(type(error), match=str(error)):
        await task
    assert "ended" in health.problems()["feed"]
    assert kafka.closed


async def test_an_unknown_symbol_is_an_error_before_anything_is_sent(kafka: Kafka) -> None:
    with pytest.raises(UnknownSymbolError, match="'a1'"):
        await run_producer(SETTINGS.but(symbols=("a1",)), asyncio.Event(), exchange=Script(None))
    assert kafka.sent == []
