"""The order of what a producer sends, with a Kafka that answers when the test says so."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from marketstream.codec import Heartbeat, Record, TradesRecord, decode
from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, FeedEvent, TradesReceived
from marketstream.exchanges.errors import ExchangeError, FeedError, UnknownSymbolError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.market.trade import Trades
from marketstream.producer import pipeline
from marketstream.producer.service import run_producer
from marketstream.service import Health
from marketstream.settings import Settings

NOW_US = 1_790_000_000_000_000
SETTINGS = Settings(exchange="simulator", symbols=("A1",), heartbeat_ms=10, pack_ms=0)


class Script(Simulator):
    """An exchange that says what a test has it say; a FeedError breaks the feed, None is a silence without end."""

    def __init__(self, *says: FeedEvent | Exception | None) -> None:
        super().__init__(1)
        self._says = iter(says)

    async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        for said in self._says:
            if said is None:
                await asyncio.Event().wait()
            elif isinstance(said, Exception):
                raise said
            else:
                yield said


@dataclass
class Kafka:
    """Records as they were handed over, each with the answer that is still to be given."""

    acknowledge: bool = True
    sent: list[tuple[Record, "asyncio.Future[bool]"]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    unacknowledged = 0

    async def start(self) -> None: ...

    def silence_s(self) -> float:
        return 0.0 if self.acknowledge else 31.0

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        assert topic == "trades.simulator.a1"
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.acknowledge:
            answer.set_result(True)
        self.sent.append((decode(value), answer))
        self.changed.set()
        return answer

    async def close(self) -> None:
        self.closed = True

    async def until(self, enough: Callable[[list[Record]], bool]) -> list[Record]:
        async with asyncio.timeout(10):
            while not enough(records := [record for record, _ in self.sent]):
                self.changed.clear()
                await self.changed.wait()
        return records


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()

    async def ensure_topics(*_: object) -> None: ...

    monkeypatch.setattr(pipeline, "ensure_topics", ensure_topics)
    monkeypatch.setattr(pipeline, "Publisher", lambda *_, **__: kafka)
    return kafka


def heard(first_id: int, event_us: int) -> TradesReceived:
    return TradesReceived("A1", Trades(2, 6, first_id, [event_us], [100], [1], b"\1"), event_us, event_us)


def is_beat(clock_us: int) -> Callable[[list[Record]], bool]:
    return lambda records: any(isinstance(r, Heartbeat) and r.closes_before_us == clock_us for r in records)


async def run(exchange: Script, stop: asyncio.Event, health: Health | None = None) -> "asyncio.Task[None]":
    ready = asyncio.Event()
    task = asyncio.create_task(run_producer(SETTINGS, stop, exchange=exchange, health=health, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task


async def test_trades_then_a_heartbeat_that_covers_them(kafka: Kafka) -> None:
    stop = asyncio.Event()
    task = await run(Script(heard(1, NOW_US), heard(2, NOW_US + 1), ClockAdvanced("A1", NOW_US + 9), None), stop)
    records = await kafka.until(is_beat(NOW_US + 9))
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
    task = await run(Script(heard(1, NOW_US), ClockAdvanced("A1", NOW_US + 9), None), stop)
    await kafka.until(lambda records: len(records) == 1)
    # Many intervals of heartbeats pass on the loop's own clock: nothing else marks that none is sent.
    await asyncio.sleep(0.1)
    ((record, answer),) = kafka.sent
    assert isinstance(record, TradesRecord)
    answer.set_result(True)
    records = await kafka.until(lambda records: len(records) == 2)
    assert isinstance(records[1], Heartbeat)
    assert records[1].max_acked_id == 1
    stop.set()
    await task


async def test_what_kafka_did_not_take_is_not_called_acknowledged(kafka: Kafka) -> None:
    kafka.acknowledge = False
    stop = asyncio.Event()
    task = await run(Script(heard(1, NOW_US), None), stop)
    await kafka.until(lambda records: len(records) == 1)
    kafka.acknowledge = True
    kafka.sent[0][1].set_result(False)
    records = await kafka.until(is_beat(NOW_US))
    assert next(r for r in records if isinstance(r, Heartbeat)).max_acked_id == -1
    stop.set()
    await task


async def test_without_the_exchanges_clock_there_is_no_heartbeat(kafka: Kafka) -> None:
    stop = asyncio.Event()
    task = await run(Script(ConnectionAlive(), None), stop)
    await asyncio.sleep(0.1)
    stop.set()
    await task
    assert kafka.sent == []


async def test_a_feed_that_breaks_is_taken_anew(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "delays", lambda *_: iter([0.0] * 9))
    stop = asyncio.Event()
    task = await run(Script(heard(1, NOW_US), FeedError("cut"), heard(2, NOW_US + 1), None), stop)
    await kafka.until(is_beat(NOW_US + 1))
    stop.set()
    await task


async def test_after_the_end_of_a_recording_heartbeats_go_on_with_its_last_clock(kafka: Kafka) -> None:
    stop, health = asyncio.Event(), Health()
    task = await run(Script(heard(1, NOW_US), ClockAdvanced("A1", NOW_US)), stop, health)
    records = await kafka.until(lambda records: len(records) > 4)
    assert {r.closes_before_us for r in records if isinstance(r, Heartbeat)} == {NOW_US}
    assert health.problems() == {}
    stop.set()
    await task


async def test_what_was_heard_before_the_stop_is_sent(kafka: Kafka) -> None:
    stop = asyncio.Event()

    class Stops(Script):
        async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
            yield heard(1, NOW_US)
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
    await run_producer(SETTINGS, stop, exchange=Script(heard(1, NOW_US), heard(2, NOW_US), None))
    ids = [id_ for record, _ in kafka.sent if isinstance(record, TradesRecord) for id_ in record.trades.all_ids()]
    assert ids == [1, 2]


@pytest.mark.parametrize("error", [ExchangeError("no such recording"), RuntimeError("a mistake")])
async def test_an_error_that_does_not_mend_ends_the_producer(kafka: Kafka, error: Exception) -> None:
    health = Health()
    task = await run(Script(heard(1, NOW_US), error), asyncio.Event(), health)
    with pytest.raises(type(error), match=str(error)):
        await task
    assert "ended" in health.problems()["feed"]
    assert kafka.closed


async def test_an_unknown_symbol_is_an_error_before_anything_is_sent(kafka: Kafka) -> None:
    with pytest.raises(UnknownSymbolError, match="'a1'"):
        await run_producer(SETTINGS.but(symbols=("a1",)), asyncio.Event(), exchange=Script(None))
    assert kafka.sent == []


async def test_silence_of_feed_or_kafka_is_noticed(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, health = asyncio.Event(), Health()
    task = await run(Script(None), stop, health)
    assert health.problems() == {}
    kafka.acknowledge = False
    monkeypatch.setattr(pipeline, "SILENCE_S", 0.0)
    assert set(health.problems()) == {"exchange", "kafka"}
    stop.set()
    await task
