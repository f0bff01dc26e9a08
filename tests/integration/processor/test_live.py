"""Redis shows the candles in PostgreSQL and the newest trades, never less, even after it lost its data."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from marketstream.local.redis import RedisServer
from marketstream.processor import metrics
from marketstream.redis.keys import Keys
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.harness.clients import within
from tests.harness.samples import sample
from tests.harness.scenarios import EPOCH
from tests.harness.servers import restart
from tests.integration.processor.market import EXCHANGE, KEY, LIMIT_S, SYMBOL, Market, heartbeat, quiet, record, trade

KEYS = Keys.of(EXCHANGE, SYMBOL)
START = EPOCH // 1_000_000
TRADES = [trade(trade_id, 0.5 + trade_id / 4, price=39_400 + trade_id) for trade_id in range(20)]
"""Return trades in six windows, of which the last one is open."""


@pytest.fixture
async def redis(market: Market) -> AsyncIterator[Redis]:
    """Return a client of the test's Redis."""
    async with Redis.from_url(market.settings.redis_url, decode_responses=True) as client:
        yield client


async def shown(redis: Redis) -> dict[str, Any]:
    """Return everything in Redis of the symbol, except for its freshness."""
    held: dict[str, Any] = {key: await redis.get(key) for key in (KEYS.price, Keys.short(SYMBOL)[0])}
    for key in (KEYS.current_candle, KEYS.last_candle, *Keys.short(SYMBOL)[1:], KEYS.status):
        held[key] = await redis.hgetall(key)
    held[KEYS.status] = {name: held[KEYS.status].get(name) for name in ("price", "price_id", "last_trade_id", "fence")}
    return held


async def shows(redis: Redis, key: str, **fields: object) -> None:
    """Wait until the hash has at least these fields."""

    async def it_does() -> None:
        held = await redis.hgetall(key)
        assert {name: held.get(name) for name in fields} == {name: str(value) for name, value in fields.items()}

    await within(LIMIT_S, it_does)


async def begin(market: Market, redis: Redis) -> None:
    """Publish the trades and wait for their live state in Redis."""
    await market.publish(record(*TRADES[:10]), record(*TRADES[10:]))
    await shows(redis, KEYS.current_candle, window_start=START + 50, trade_count=2, close=394.19)
    await shows(redis, KEYS.last_candle, window_start=START + 40)


async def test_the_candles_shown_are_those_of_the_trades_and_of_the_table(
    market: Market, pool: asyncpg.Pool, redis: Redis
) -> None:
    async with market.processed():
        await begin(market, redis)
        current, last = await redis.hgetall(KEYS.current_candle), await redis.hgetall(KEYS.last_candle)
        assert await redis.get(KEYS.price) == "394.19"
        assert (current["open"], current["high"], current["complete"]) == ("394.18", "394.19", "false")
        row = await pool.fetchrow("SELECT * FROM candles_10s ORDER BY window_start DESC LIMIT 1")
        assert row is not None
        columns = last.keys() & dict(row).keys()
        assert last.keys() - columns == {"interval", "fence"}
        assert {name: last[name] for name in columns} == {name: as_text(row[str(name)]) for name in columns}
        for key, short in zip(KEYS[:3], Keys.short(SYMBOL), strict=True):
            assert await redis.dump(key) == await redis.dump(short)


def as_text(value: Any) -> str:
    """Return the candle as the API would."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _ if hasattr(value, "normalize"):
            return format(value.normalize(), "f")
        case _:
            return str(value)


async def test_what_a_flush_took_is_written_again(market: Market, redis: Redis) -> None:
    async with market.processed():
        await begin(market, redis)
        before = await shown(redis)
        await redis.flushall()
        await is_shown_again(redis, before)


async def test_what_a_restart_took_is_written_again(market: Market, redis: Redis, redis_server: RedisServer) -> None:
    async with market.processed():
        await begin(market, redis)
        before = await shown(redis)
        await restart(redis_server)
        await is_shown_again(redis, before)


async def is_shown_again(redis: Redis, before: dict[str, Any]) -> None:
    """Wait until everything is restored, although no trade arrives."""
    assert all(before.values())

    async def is_as_before() -> None:
        try:
            assert await shown(redis) == before
        except RedisError as error:
            raise AssertionError("Redis is away") from error

    await within(LIMIT_S, is_as_before)


async def test_an_owner_with_an_older_fence_shows_nothing_more(
    market: Market, pool: asyncpg.Pool, redis: Redis
) -> None:
    async with market.processed():
        await begin(market, redis)
        fence = int(await redis.hget(KEYS.status, "fence") or "0")
        await redis.hset(KEYS.status, "fence", str(fence + 1))  # as the claim of a later owner does
        before = await shown(redis)
        await market.publish(record(trade(20, 6.5)), heartbeat(9))
        await market.stored(pool)
        await asyncio.sleep(0)
        assert await shown(redis) == before
    assert await pool.fetchval("SELECT max(last_trade_id) FROM candles_10s") == 20, "PostgreSQL asks for its own fence"


async def test_redis_that_has_outlived_the_database_is_written_again(market: Market, redis: Redis) -> None:
    """Redis was unreachable at the claim, and holds a fence from before PostgreSQL was restored from a backup."""
    market.settings = market.settings.but(kafka_session_timeout_ms=1_000)
    async with market.processed():
        await begin(market, redis)
        await redis.hset(KEYS.status, "fence", "41")
        await market.publish(record(trade(20, 6.5)))
        await shows(redis, KEYS.status, last_trade_id=20, fence=42)


async def test_a_new_owner_never_shows_less(market: Market, redis: Redis) -> None:
    """A new owner publishes nothing until it has read everything that the owner before could have published."""
    async with market.processed():
        await begin(market, redis)
    before = await shown(redis)
    looks: list[dict[str, Any]] = []

    async def the_new_owner_shows_all() -> None:
        looks.append(await shown(redis))
        current = looks[-1][KEYS.current_candle]
        assert int(current["fence"]) > int(before[KEYS.current_candle]["fence"])
        assert current["trade_count"] == "3"

    async with market.processed():
        looking = asyncio.create_task(within(LIMIT_S, the_new_owner_shows_all))
        await market.publish(record(trade(20, 5.6, price=39_420)))
        await looking
    for look in looks:
        for key in (KEYS.current_candle, KEYS.last_candle):
            assert progress_of(look[key]) >= progress_of(before[key])
        assert look[KEYS.price] in ("394.19", "394.2")


def progress_of(candle: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(candle[name]) for name in ("window_start", "revision", "trade_count"))


async def test_a_quiet_market_shows_a_flat_candle_of_the_window_of_now(market: Market, redis: Redis) -> None:
    async with market.processed():
        await begin(market, redis)
        await market.publish(heartbeat(8.3))
        flat = dict.fromkeys(("open", "high", "low", "close"), 394.19)
        await shows(redis, KEYS.current_candle, window_start=START + 80, trade_count=0, volume=0, **flat)
        await shows(redis, KEYS.current_candle, first_trade_id=20, last_trade_id=19, complete="false")


async def test_a_heartbeat_is_no_sign_of_the_symbol_but_a_trade_and_the_exchanges_word_are(
    market: Market, redis: Redis
) -> None:
    async with market.processed():
        await begin(market, redis)
        heard_until = (await redis.hgetall(KEYS.status))["heard_until"]
        await market.publish(heartbeat(8.3))
        await shows(redis, KEYS.current_candle, window_start=START + 80)
        assert (await redis.hgetall(KEYS.status))["heard_until"] == heard_until
        await market.publish(quiet(19, 9.0))
        await shows(redis, KEYS.status, last_trade_id=19, heard_until=START + 90)


async def test_a_rejected_record_is_not_shown(market: Market, redis: Redis) -> None:
    async with market.processed():
        await begin(market, redis)
        before, set_aside = await shown(redis), sample(metrics.SET_ASIDE, **KEY._asdict())
        await market.publish(b"nothing that can be read")

        async def is_set_aside() -> None:
            assert sample(metrics.SET_ASIDE, **KEY._asdict()) == set_aside + 1

        await within(LIMIT_S, is_set_aside)
        assert await shown(redis) == before
