"""The writer of the live state when another program uses the same keys."""

from collections.abc import AsyncIterator

import pytest
from marketstream.redis.frames import Frame
from marketstream.redis.keys import Keys
from marketstream.redis.writer import LiveState, LiveWriter
from redis.asyncio import Redis

OURS, THEIRS = ("binance", "BTCUSDT"), ("binance", "ETHUSDT")
KEYS = Keys.of(*THEIRS)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Return a client of an empty database."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def states(*symbols: tuple[str, str]) -> dict[tuple[str, str], tuple[int, LiveState, Frame]]:
    """Return a state to write for each symbol."""
    candle = {"fence": "3", "window_start": "10", "revision": "0", "trade_count": "1"}
    state = LiveState({"lag": "0"}, "1.5", "7", "10.5", candle)
    return {symbol: (3, state, Frame(*symbol)) for symbol in symbols}


@pytest.mark.parametrize("key", [KEYS.status, KEYS.current_candle])
async def test_a_key_of_another_type_stops_the_live_state_of_its_symbol_only(
    redis: Redis, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = LiveWriter(redis, "binance")
    await writer.claim(dict.fromkeys((OURS, THEIRS), 3))
    await redis.delete(key)
    await redis.rpush(key, "somebody else's")
    for _ in range(2):
        assert await writer.write(states(OURS, THEIRS)) == {OURS: "ok", THEIRS: "foreign"}
    out = capsys.readouterr().out
    assert out.count("foreign keys found in Redis") == 1, "the foreign keys are logged once"
    assert f"'{key}': 'list'" in out
    assert await redis.get(Keys.of(*OURS).price) == "1.5"
    await redis.delete(key)
    if key == KEYS.status:
        assert await writer.write(states(THEIRS)) == {THEIRS: "lost"}
        assert await writer.claim({THEIRS: 3}) == {THEIRS: "ok"}
    assert await writer.write(states(THEIRS)) == {THEIRS: "ok"}


async def test_fences_and_claims_work_beside_a_key_of_another_type(redis: Redis) -> None:
    writer = LiveWriter(redis, "binance")
    await writer.claim({OURS: 5})
    await redis.set(KEYS.status, "somebody else's")
    assert await writer.fences([THEIRS, OURS]) == [0, 5]
    assert await writer.claim(dict.fromkeys((OURS, THEIRS), 6)) == {OURS: "ok", THEIRS: "foreign"}


@pytest.mark.parametrize("fence", ["abc", "-7", "1e3", "9" * 400, ""])
async def test_a_field_that_no_processor_writes_is_no_fence(redis: Redis, fence: str) -> None:
    writer = LiveWriter(redis, "binance")
    await writer.claim({OURS: 5})
    await redis.hset(KEYS.status, mapping={"fence": fence, "price_fence": fence, "price_id": fence})
    assert await writer.fences([THEIRS, OURS]) == [0, 5]
    assert await writer.claim({THEIRS: 3}) == {THEIRS: "ok"}
    assert await writer.write(states(THEIRS)) == {THEIRS: "ok"}
    assert await redis.get(KEYS.price) == "1.5"


async def test_the_price_of_ids_above_the_exact_numbers_of_lua_goes_on(redis: Redis) -> None:
    writer = LiveWriter(redis, "binance")
    await writer.claim({OURS: 3})
    key = Keys.of(*OURS).price
    for price, trade_id in (
        ("1", 2**53),
        ("2", 2**53 + 1),
        ("3", 2**53 + 2),
        ("4", 2**62),
        ("0", 2**53 + 3),
        ("9", 99),
    ):
        state = LiveState({"lag": "0"}, price, str(trade_id), "10.5")
        assert await writer.write({OURS: (3, state, Frame(*OURS))}) == {OURS: "ok"}
        assert await redis.get(key) == (price if price in "1234" else "4")


async def test_the_price_follows_the_time_of_its_trade_although_ids_begin_again(redis: Redis) -> None:
    writer = LiveWriter(redis, "binance")
    await writer.claim({OURS: 3})
    key = Keys.of(*OURS).price
    for price, trade_id, price_time, shown in (
        ("1", "1000", "1610064046.355123", "1"),
        ("2", "3", "1610064046.355124", "2"),
        ("9", "1000", "1610064046.355123", "2"),
        ("3", "4", "1610064046.355124", "3"),
        ("9", "3", "1610064046.355124", "3"),
        ("4", "5", "1610064047", "4"),
    ):
        state = LiveState({"lag": "0"}, price, trade_id, price_time)
        assert await writer.write({OURS: (3, state, Frame(*OURS))}) == {OURS: "ok"}
        assert await redis.get(key) == shown
