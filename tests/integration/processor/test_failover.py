"""While a processor runs, a database refuses logins or writes: nothing ends, and nothing is lost."""

from collections.abc import AsyncIterator
from typing import Protocol

import asyncpg
import pytest
from marketstream.kafka.admin import ensure_topics
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.migrate import migrate
from marketstream.postgres.writer import Writer
from marketstream.processor import metrics
from marketstream.redis.keys import Keys
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.clients import within
from tests.harness.samples import sample
from tests.integration.processor.failover import add_user, set_read_only, set_refused
from tests.integration.processor.market import EXCHANGE, KEY, LIMIT_S, SYMBOL, Market, heartbeat, record, trade

pytestmark = pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (set_read_only, "PostgreSQL is read-only, like a standby: cannot execute"),
        (set_refused, "PostgreSQL refuses DATABASE_URL: password authentication failed"),
    ],
    ids=["read-only", "refused"],
)


class Trouble(Protocol):
    """A change of the database that True begins and False ends."""

    async def __call__(self, settings: Settings, *, is_on: bool) -> None: ...


@pytest.fixture
async def own_pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Return connections to the test's database that recover soon after any trouble."""
    opened = await open_pool(settings, size=1)
    yield opened
    await close_pool(opened)


async def test_the_processor_lives_and_stores_all_of_it_afterwards(
    settings: Settings, own_pool: asyncpg.Pool, trouble: Trouble, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    market = Market(await add_user(settings))
    await ensure_topics(market.settings, [market.topic])
    async with market.processed(), Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        await market.publish(record(trade(1, 0.5), trade(2, 1.5)), heartbeat(2.5))
        await market.stored(own_pool)
        await trouble(settings, is_on=True)
        failures = sample(metrics.COMMIT_FAILURES)
        await market.publish(record(trade(3, 2.6), trade(4, 3.6, price=444)), heartbeat(4.5))

        async def it_fails_again_and_again() -> None:
            assert sample(metrics.COMMIT_FAILURES) >= failures + 4
            assert await redis.get(Keys.of(EXCHANGE, SYMBOL).price) == "4.44", "the price goes on"

        await within(LIMIT_S, it_fails_again_and_again)
        assert await own_pool.fetchval("SELECT max(last_trade_id) FROM candles_10s") == 2
        await trouble(settings, is_on=False)
        await market.publish(record(trade(5, 4.6)), heartbeat(6.5))
        await market.stored(own_pool)
    rows = await own_pool.fetch("SELECT last_trade_id, trade_count, complete FROM candles_10s ORDER BY window_start")
    assert [tuple(row) for row in rows] == [(1, 1, False), (2, 1, True), (3, 1, True), (4, 1, True), (5, 1, False)]
    out = capsys.readouterr().out
    assert out.count(said) == 1, "it is told once"


async def test_a_claim_and_a_commit_are_tried_again_by_the_same_pool(
    settings: Settings, trouble: Trouble, said: str
) -> None:
    pool = await open_pool(await add_user(settings), size=2)
    try:
        await migrate(pool)
        writer = Writer(pool)
        await trouble(settings, is_on=True)

        async def both_say_so() -> None:  # the first use of a session that has ended raises an error
            with pytest.raises(StoreUnavailableError, match=said):
                await writer.claim({KEY: "a topic"})
            with pytest.raises(StoreUnavailableError, match=said):
                await writer.commit({})

        await within(LIMIT_S, both_say_so)
        await trouble(settings, is_on=False)
        assert (await writer.claim({KEY: "a topic"}))[KEY].fence == 1
    finally:
        await close_pool(pool)
