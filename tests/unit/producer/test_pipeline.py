"""The order in which a producer sends records, with a Kafka that answers when the test says so."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest
from marketstream.codec import Heartbeat, Record, TradesRecord
from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, ConnectionChanged, FeedEvent
from marketstream.exchanges.errors import FeedError, UnknownSymbolError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.producer import pipeline
from marketstream.producer.service import run_producer
from marketstream.service import Health

from tests.unit.producer.scripted import NOW_US, SETTINGS, Kafka, Script, has_heartbeat, received, run


async def test_trades_then_a_heartbeat_that_covers_them(kafka: Kafka) -> None:
    stop = asyncio.Event()
    task = await run(Script(received(1, NOW_US), received(2, NOW_US + 1), ClockAdvanced("A1", NOW_US + 9), None), stop)
    records = await kafka.until(has_heartbeat(NOW_US + 9))
    stop.set()
    await task
    beat = next(i for i, r in enumerate(records) if isinstance(r, Heartbeat) and r.closes_before_us == NOW_US + 9)
    ids = [id_ for r in records[:beat] if isinstance(r, TradesRecord) for id_ in r.trades.all_ids()]
    assert ids == [1, 2]
    last = records[beat]
    assert isinstance(last, Heartbeat)
    assert last.max_acked_id == 2
    assert kafka.closed


async def test_no_heartbeat_before_kafka_has_the_trades(kafka: Kafka) -> None:
    kafka.acknowledge = False
    stop = asyncio.Event()
    task = await run(Script(received(1, NOW_US), ClockAdvanced("A1", NOW_US + 9), None), stop)
    await kafka.until(lambda records: len(records) == 1)
    # Many intervals of heartbeats pass. No event would mark that none is sent.
    await asyncio.sleep(0.1)
    ((record, answer),) = kafka.sent
    assert isinstance(record, TradesRecord)
    answer.set_result(True)
    records = await kafka.until(lambda records: len(records) == 2)
    assert isinstance(records[1], Heartbeat)
    assert records[1].max_acked_id == 1
    stop.set()
    await task


async def test_no_heartbeat_before_kafka_has_all_trades_that_it_covers(kafka: Kafka) -> None:
    """A record is sent again after a lost answer, so a later one may be acknowledged first."""
    kafka.acknowledge = False
    stop, second = asyncio.Event(), asyncio.Event()

    class InTwo(Script):
        async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            yield received(1, NOW_US)
            await second.wait()
            yield received(2, NOW_US + 1)
            await asyncio.Event().wait()

    task = await run(InTwo(), stop)
    await kafka.until(lambda records: len(records) == 1)
    second.set()
    await kafka.until(lambda records: len(records) == 2)
    kafka.sent[1][1].set_result(True)
    # Many intervals of heartbeats pass. No event would mark that none is sent.
    await asyncio.sleep(0.1)
    assert len(kafka.sent) == 2
    kafka.sent[0][1].set_result(True)
    records = await kafka.until(lambda records: len(records) == 3)
    assert isinstance(records[2], Heartbeat)
    assert (records[2].max_acked_id, records[2].closes_before_us) == (2, NOW_US + 1)
    kafka.acknowledge = True
    kafka.sent[2][1].set_result(True)
    stop.set()
    await task


async def test_records_that_kafka_did_not_take_do_not_count_as_acknowledged(kafka: Kafka) -> None:
    kafka.acknowledge = False
    stop = asyncio.Event()
    task = await run(Script(received(1, NOW_US), None), stop)
    await kafka.until(lambda records: len(records) == 1)
    kafka.acknowledge = True
    kafka.sent[0][1].set_result(False)
    records = await kafka.until(has_heartbeat(NOW_US))
    assert next(r for r in records if isinstance(r, Heartbeat)).max_acked_id == -1
    stop.set()
    await task


async def test_without_the_exchanges_clock_heartbeats_close_nothing(kafka: Kafka) -> None:
    stop = asyncio.Event()
    task = await run(Script(ConnectionAlive(), None), stop)
    records = await kafka.until(lambda records: len(records) == 3)
    stop.set()
    await task
    assert [(r.closes_before_us, r.is_connected) for r in records if isinstance(r, Heartbeat)] == [(0, True)] * 3


def says(clock_us: int, *, is_connected: bool) -> Callable[[list[Record]], bool]:
    """Return a condition for `Kafka.until`: the newest heartbeat has this clock and this connection."""

    def holds(records: list[Record]) -> bool:
        beats = [record for record in records if isinstance(record, Heartbeat)]
        return bool(beats) and (beats[-1].closes_before_us, beats[-1].is_connected) == (clock_us, is_connected)

    return holds


async def test_heartbeats_say_that_the_connection_is_lost_and_do_not_move_the_clock(kafka: Kafka) -> None:
    stop, changes = asyncio.Event(), asyncio.Queue[FeedEvent]()

    class Lost(Script):
        async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            while True:
                yield await changes.get()

    task = await run(Lost(), stop)
    changes.put_nowait(received(1, NOW_US))
    await kafka.until(says(NOW_US, is_connected=True))
    changes.put_nowait(ConnectionChanged("A1", is_open=False))
    await kafka.until(says(NOW_US, is_connected=False))
    changes.put_nowait(ConnectionChanged("A1", is_open=True))
    await kafka.until(says(NOW_US, is_connected=True))
    stop.set()
    await task


async def test_a_broken_feed_is_not_connected_before_the_first_event_of_the_next(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "delays", lambda *_: iter([0.0] * 9))
    stop, answers = asyncio.Event(), asyncio.Event()

    class Broken(Script):
        async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            for said in self._says:
                if isinstance(said, Exception):
                    raise said
                if isinstance(said, ConnectionAlive):
                    await answers.wait()
                if said is not None:
                    yield said
            await asyncio.Event().wait()

    task = await run(Broken(received(1, NOW_US), FeedError("cut"), ConnectionAlive()), stop)
    await kafka.until(says(NOW_US, is_connected=False))
    answers.set()
    await kafka.until(says(NOW_US, is_connected=True))
    stop.set()
    await task


async def test_a_feed_that_breaks_is_restarted(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "delays", lambda *_: iter([0.0] * 9))
    stop = asyncio.Event()
    task = await run(Script(received(1, NOW_US), FeedError("cut"), received(2, NOW_US + 1), None), stop)
    await kafka.until(has_heartbeat(NOW_US + 1))
    stop.set()
    await task


async def test_after_the_end_of_a_recording_heartbeats_continue_with_its_last_clock(kafka: Kafka) -> None:
    stop, health = asyncio.Event(), Health()
    task = await run(Script(received(1, NOW_US), ClockAdvanced("A1", NOW_US)), stop, health)
    records = await kafka.until(lambda records: len(records) > 4)
    assert {r.closes_before_us for r in records if isinstance(r, Heartbeat)} == {NOW_US}
    assert health.problems() == {}
    stop.set()
    await task


async def test_silence_of_feed_or_kafka_is_noticed(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, health = asyncio.Event(), Health()
    task = await run(Script(None), stop, health)
    assert health.problems() == {}
    kafka.acknowledge = False
    monkeypatch.setattr(pipeline, "SILENCE_S", 0.0)
    assert set(health.problems()) == {"exchange", "kafka"}
    stop.set()
    await task


class Listing(Simulator):
    """Lists A2 only after a while, and notes which symbols its feeds are asked for."""

    def __init__(self) -> None:
        super().__init__(1)
        self.checks = 0
        self.feeds: list[list[str]] = []

    async def check(self, symbols: Sequence[str]) -> None:
        self.checks += 1
        if self.checks < 3 and "A2" in symbols:
            raise UnknownSymbolError("no A2", ("A2",))

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        self.feeds.append(list(symbols))
        while True:
            yield ConnectionAlive()
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("kafka")
async def test_an_unlisted_symbol_is_skipped_until_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "LISTINGS_S", 0.05)
    monkeypatch.setattr(pipeline, "delays", lambda *_: iter([0.0] * 9))
    exchange, stop, health = Listing(), asyncio.Event(), Health()
    settings = SETTINGS.but(symbols=("A1", "A2"))
    task = asyncio.create_task(run_producer(settings, stop, exchange=exchange, health=health))
    async with asyncio.timeout(30):
        while len(exchange.feeds) < 2:  # noqa: ASYNC110 - a feed sets no event
            await asyncio.sleep(0.01)
    assert exchange.feeds == [["A1"], ["A1", "A2"]]
    assert health.problems() == {}
    stop.set()
    await task


async def test_the_trades_of_a_feed_that_ends_because_of_new_listings_are_sent(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LISTINGS_S", 0.05)
    monkeypatch.setattr(pipeline, "delays", lambda *_: iter([0.0] * 9))

    class Trading(Listing):
        async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            self.feeds.append(list(symbols))
            if len(self.feeds) == 1:
                while self.checks < 3:  # noqa: ASYNC110 - a check sets no event
                    await asyncio.sleep(0.01)
                yield received(1, NOW_US)
            yield ConnectionAlive()
            await asyncio.Event().wait()

    exchange, stop = Trading(), asyncio.Event()
    task = asyncio.create_task(run_producer(SETTINGS.but(symbols=("A1", "A2")), stop, exchange=exchange))
    async with asyncio.timeout(30):
        while len(exchange.feeds) < 2:  # noqa: ASYNC110 - a feed sets no event
            await asyncio.sleep(0.01)
    await kafka.until(has_heartbeat(NOW_US))
    stop.set()
    await task
    assert any(isinstance(record, TradesRecord) for record, _ in kafka.sent)


@pytest.mark.usefixtures("kafka")
async def test_a_list_of_nothing_but_unknown_symbols_is_an_error() -> None:
    with pytest.raises(UnknownSymbolError, match="no A2"):
        await run_producer(SETTINGS.but(symbols=("A2",)), asyncio.Event(), exchange=Listing())
