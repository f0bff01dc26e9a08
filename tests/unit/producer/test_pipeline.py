"""The order in which a producer sends records, with a Kafka that answers when the test says so."""

import asyncio

import pytest
from marketstream.codec import Heartbeat, TradesRecord
from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive
from marketstream.exchanges.errors import FeedError
from marketstream.producer import pipeline
from marketstream.service import Health

from tests.unit.producer.scripted import NOW_US, Kafka, Script, has_heartbeat, received, run


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


async def test_without_the_exchanges_clock_there_is_no_heartbeat(kafka: Kafka) -> None:
    stop = asyncio.Event()
    task = await run(Script(ConnectionAlive(), None), stop)
    await asyncio.sleep(0.1)
    stop.set()
    await task
    assert kafka.sent == []


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
