"""Holes are filled from the exchange's history: the real processor and producer, with the simulator as exchange."""

import contextlib
from collections.abc import AsyncGenerator, Sequence

import asyncpg
import pytest
from marketstream.exchanges.base import ClockAdvanced, TradesReceived
from marketstream.exchanges.errors import ExchangeError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.local.kafka import KafkaServer
from marketstream.market.trade import Trades
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.clients import query, within
from tests.harness.pair import pair

SYMBOLS = ("BTCUSDT", "SOLUSDT")
LIMIT_S = 3 * 60  # three times the goal, which equals the patience of the backfill


class Faulty(Simulator):
    """A simulator whose feed loses trades, and whose history can lack some permanently."""

    def __init__(self, lost_for_good: range | None = None) -> None:
        super().__init__(7, trades_per_second=40)
        self.lose_next = 0
        self.is_broken = False
        """True while the history does not answer."""
        self.lost_for_good = lost_for_good
        self.lost: list[int] = []

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[TradesReceived | ClockAdvanced, None]:
        async with contextlib.aclosing(super().feed(symbols)) as feed:
            async for event in feed:
                if isinstance(event, TradesReceived) and event.symbol == SYMBOLS[0] and self.lose_next > 0:
                    self.lose_next -= len(event.trades)
                    self.lost += event.trades.all_ids()
                    continue
                yield event

    async def history(self, symbol: str, first_id: int, last_id: int, **hints: int | None) -> Trades | None:
        if self.is_broken:
            raise ExchangeError("no answer")
        if self.lost_for_good and first_id in self.lost_for_good:
            return None
        return await super().history(symbol, first_id, last_id, **hints)


@pytest.fixture
def settings(kafka: KafkaServer, database_url: str, redis_url: str, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap=kafka.address,
        database_url=database_url,
        redis_url=redis_url,
        exchange="simulator",
        default_exchange="simulator",
        symbols=SYMBOLS,
        topic_prefix=topic_prefix,
        consumer_group=topic_prefix,
        kafka_session_timeout_ms=1000,
    )


async def candles(settings: Settings, symbol: str) -> list[asyncpg.Record]:
    return await query(
        settings.database_url, f"SELECT * FROM candles_10s WHERE symbol = '{symbol}' ORDER BY window_start"
    )


async def all_are_complete(settings: Settings, at_least: int) -> None:
    for symbol in SYMBOLS:
        rows = await candles(settings, symbol)
        assert len(rows) >= at_least, f"{len(rows)} candles of {symbol}"
        assert [row["incomplete_reason"] for row in rows] == [None] * len(rows)
        for row in rows:
            assert row["trade_count"] == row["last_trade_id"] - row["first_trade_id"] + 1
        assert [row["last_trade_id"] + 1 for row in rows[:-1]] == [row["first_trade_id"] for row in rows[1:]]


async def test_the_first_window_a_hole_and_a_restart_become_complete(settings: Settings) -> None:
    exchange = Faulty()
    async with pair(settings, exchange, exchange):
        await within(LIMIT_S, lambda: all_are_complete(settings, 1))
        exchange.lose_next = 100

        async def some_are_lost() -> None:
            assert len(exchange.lost) >= 100

        await within(LIMIT_S, some_are_lost)
    before = len(await candles(settings, SYMBOLS[0]))
    async with pair(settings, exchange, exchange):
        await within(LIMIT_S, lambda: all_are_complete(settings, before + 2))
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        stream = await redis.hgetall(f"stream:simulator:{SYMBOLS[0]}")
        assert (stream["open_holes"], stream["backfilling"]) == ("0", "0")


async def test_a_first_window_whose_beginning_was_not_reached_before_a_restart_becomes_complete(
    settings: Settings,
) -> None:
    exchange = Faulty()
    exchange.is_broken = True

    async def some_are_stored() -> None:
        for symbol in SYMBOLS:
            rows = await candles(settings, symbol)
            assert [row["incomplete_reason"] for row in rows[:2]] == ["unconfirmed", None]

    async with pair(settings, exchange, exchange):
        await within(LIMIT_S, some_are_stored)
    exchange.is_broken = False
    async with pair(settings, exchange, exchange):
        await within(LIMIT_S, lambda: all_are_complete(settings, 2))


async def test_what_the_exchange_lacks_is_given_up_and_said(settings: Settings) -> None:
    exchange = Faulty()
    async with pair(settings, exchange, exchange):
        await within(LIMIT_S, lambda: all_are_complete(settings, 1))
        # The history is broken before the feed loses anything, so that nothing can be fetched in between.
        exchange.lost_for_good = range(2**62)
        exchange.lose_next = 20

        async def given_up() -> None:
            reasons = {row["incomplete_reason"] for row in await candles(settings, SYMBOLS[0])}
            assert "unfillable" in reasons
            assert "hole" not in reasons

        await within(LIMIT_S, given_up)
    (progress,) = await query(settings.database_url, f"SELECT * FROM progress WHERE symbol = '{SYMBOLS[0]}'")
    (hole,) = progress["unfillable"]
    assert list(range(hole.lower, hole.upper)) == exchange.lost
