"""The producer against a real Kafka, whose topics are read back by a plain consumer."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from marketstream.codec import Heartbeat, Record, TradesRecord
from marketstream.exchanges.base import Exchange, TradesReceived
from marketstream.exchanges.replay.exchange import Replay
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.local.kafka import KafkaServer
from marketstream.producer.service import run_producer
from marketstream.service import Health
from marketstream.settings import Settings

from tests.harness.servers import restart
from tests.integration.producer.topics import last_clock, read_until, trades_in

LAST_US = 1610064046355000


@pytest.fixture
def settings(kafka: KafkaServer, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap=kafka.address, topic_prefix=topic_prefix, exchange="simulator", symbols=("BTCUSDT",),
        heartbeat_ms=50,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def producing(settings: Settings, exchange: Exchange, health: Health | None = None) -> AsyncIterator[None]:
    """Run a producer in the block, and stop it gracefully afterwards."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_producer(settings, stop, exchange=exchange, health=health, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    async with asyncio.timeout(60):
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


def heartbeats_cover_what_is_before_them(records: list[Record]) -> None:
    """Check that no trade is older than a heartbeat before it, and that heartbeats name the greatest id before them."""
    clock, greatest = 0, -1
    for record in records:
        if isinstance(record, TradesRecord):
            assert min(record.trades.times) >= clock
            greatest = max(greatest, *record.trades.all_ids())
        elif isinstance(record, Heartbeat):
            assert record.closes_before_us >= clock
            clock = record.closes_before_us
            assert record.max_acked_id <= greatest


async def test_the_recording_is_in_the_topic_trade_by_trade(settings: Settings, recordings: Path) -> None:
    recording = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    replay = Replay(recording, name="binance", speed=math.inf)
    expected = [
        t async for event in replay.feed(["BTCUSDT"]) if isinstance(event, TradesReceived) for t in event.trades
    ]
    topic = f"{settings.topic_prefix}.binance.btcusdt"
    async with producing(settings, replay):
        records = await read_until(settings.kafka_bootstrap, topic, lambda records: last_clock(records) == LAST_US)
    assert trades_in(records) == expected
    assert len(expected) == 2001
    heartbeats_cover_what_is_before_them(records)
    last = next(record for record in reversed(records) if isinstance(record, Heartbeat))
    assert (last.exchange, last.symbol, last.max_acked_id) == ("binance", "BTCUSDT", expected[-1].id)


async def test_a_paced_replay_and_a_simulator_never_let_a_heartbeat_overtake(
    settings: Settings, recordings: Path
) -> None:
    recording = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    for exchange, name in (
        (Replay(recording, speed=40), "replay"),
        (Simulator(1, trades_per_second=2000), "simulator"),
    ):
        topic = f"{settings.topic_prefix}.{name}.btcusdt"
        async with producing(settings, exchange):
            records = await read_until(
                settings.kafka_bootstrap,
                topic,
                lambda records: len(trades_in(records)) >= 2001 and heartbeats_in(records) > 3,
            )
        heartbeats_cover_what_is_before_them(records)


def heartbeats_in(records: list[Record]) -> int:
    return sum(isinstance(record, Heartbeat) for record in records)


async def test_a_kafka_that_restarts_is_waited_for(settings: Settings, kafka: KafkaServer) -> None:
    topic = f"{settings.topic_prefix}.simulator.btcusdt"
    health = Health()
    async with producing(settings, Simulator(1, trades_per_second=500), health):
        await read_until(settings.kafka_bootstrap, topic, lambda records: len(trades_in(records)) > 200)
        await restart(kafka)
        before = len(await read_until(settings.kafka_bootstrap, topic, bool))
        records = await read_until(
            settings.kafka_bootstrap, topic, lambda records: len(records) > before and len(trades_in(records)) > 3000
        )
        assert health.problems() == {}
    ids = [trade.id for trade in trades_in(records)]
    assert all(after == before + 1 for before, after in pairwise(ids))
    heartbeats_cover_what_is_before_them(records)


async def test_a_graceful_stop_sends_all_trades_received(settings: Settings, recordings: Path) -> None:
    recording = recordings / "binance-BTCUSDT-trades-2021-01-08.csv"
    topic = f"{settings.topic_prefix}.replay.btcusdt"
    slow = settings.but(pack_ms=600_000, heartbeat_ms=600_000)  # only the stop sends anything

    class Signals(Replay):
        done = asyncio.Event()

        async def feed(self, _: object) -> AsyncIterator[object]:  # type: ignore[override]
            async for event in super().feed(["BTCUSDT"]):
                yield event
            self.done.set()

    exchange = Signals(recording, speed=math.inf)
    async with producing(slow, exchange):
        await exchange.done.wait()
    records = await read_until(settings.kafka_bootstrap, topic, lambda records: len(trades_in(records)) >= 2001)
    assert len(trades_in(records)) == 2001


async def test_a_stop_while_kafka_is_unreachable_does_not_hang(topic_prefix: str) -> None:
    settings = Settings(
        kafka_bootstrap="127.0.0.1:1", topic_prefix=topic_prefix, exchange="simulator", symbols=("BTCUSDT",)
    )
    stop = asyncio.Event()
    task = asyncio.create_task(run_producer(settings, stop))
    asyncio.get_running_loop().call_later(0.2, stop.set)
    async with asyncio.timeout(15):  # the goal is 5
        await task
