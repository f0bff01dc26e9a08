"""What a review of the stores has found, and must not come back."""

import asyncio
import time

import asyncpg
import pytest
from marketstream.local.postgres import PostgresServer
from marketstream.market.aggregator import Aggregator
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.writer import Committed, Numbered, Writer

from tests.harness.clients import within
from tests.harness.scenarios import EPOCH, FAR, GRACE_US, PRICE_SCALE, QUANTITY_SCALE
from tests.harness.tables import stored_reasons
from tests.integration.processor.market import KEY, trade

TOPICS = {KEY: "trades.binance.btcusdt"}
START = EPOCH // 1_000_000
LIMIT_S = 15


class Owner:
    """The symbol in the hands of an owner who stores whatever it hears."""

    def __init__(self, writer: Writer, fence: int, aggregator: Aggregator) -> None:
        self._writer = writer
        self._aggregator = aggregator
        self._fence = fence
        self._number = 0

    @classmethod
    async def of(cls, pool: asyncpg.Pool) -> "Owner":
        """The symbol's first owner."""
        writer = Writer(pool)
        claim = (await writer.claim(TOPICS))[KEY]
        return cls(writer, claim.fence, Aggregator(claim.progress, grace_us=GRACE_US, max_id_jump=10**6, max_holes=100))

    def take(self, *trades: Trade, until: float = 0.0) -> Numbered:
        """What these trades, and then a heartbeat, come to."""
        self._number += 1
        if trades:
            self._aggregator.apply(Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE), self._number, FAR)
        self._aggregator.heartbeat(EPOCH + int(until * WINDOW_US))
        return Numbered(self._fence, self._number, self._aggregator.take(self._number))

    async def store(self, *trades: Trade, until: float = 0.0) -> Committed:
        """Stores what these trades, and then a heartbeat, come to."""
        return await self._writer.commit({KEY: self.take(*trades, until=until)})


async def reasons(pool: asyncpg.Pool) -> dict[int, str | None]:
    """By the number of the window."""
    return {(start - START) // WINDOW_S: reason for start, reason in (await stored_reasons(pool, KEY)).items()}


WHOLE = [trade(1, 0.5), trade(2, 1.2), trade(3, 1.8), trade(4, 2.5)]


async def test_a_late_trade_of_an_id_far_away_takes_the_proof_from_its_window(pool: asyncpg.Pool) -> None:
    owner = await Owner.of(pool)
    await owner.store(*WHOLE, until=9)
    assert await reasons(pool) == {0: "unconfirmed", 1: None, 2: "unconfirmed"}
    await owner.store(trade(10**9, 1.5))
    assert (await reasons(pool))[1] == "unconfirmed"
    await owner.store(trade(5, 3.5), until=12)
    assert await reasons(pool) == {0: "unconfirmed", 1: "unconfirmed", 2: None, 3: "unconfirmed"}
    assert not await pool.fetchval("SELECT bool_or(complete) FROM candles_1m")


async def test_a_late_trade_of_the_run_leaves_its_window_complete(pool: asyncpg.Pool) -> None:
    """Its time does not follow the order of the ids."""
    owner = await Owner.of(pool)
    await owner.store(*WHOLE, trade(6, 3.5), until=9)
    assert (await reasons(pool))[1] is None
    committed = await owner.store(trade(5, 1.5))
    assert START + WINDOW_S in committed.changed[KEY]
    assert await reasons(pool) == {0: "unconfirmed", 1: None, 2: None, 3: "unconfirmed"}
    row = await pool.fetchrow("SELECT * FROM candles_10s WHERE window_start = $1", START + WINDOW_S)
    assert row is not None
    assert (row["trade_count"], row["first_trade_id"], row["last_trade_id"], row["complete"]) == (3, 2, 5, True)


async def test_a_late_newest_trade_leaves_its_window_complete_once_the_next_has_come(pool: asyncpg.Pool) -> None:
    owner = await Owner.of(pool)
    await owner.store(*WHOLE, until=9)
    await owner.store(trade(5, 1.5))
    await owner.store(trade(6, 9.5), until=12)
    assert (await reasons(pool)) == {0: "unconfirmed", **dict.fromkeys(range(1, 9)), 9: "unconfirmed"}


async def test_a_commit_sent_again_says_again_what_it_has_changed(pool: asyncpg.Pool) -> None:
    owner, writer = await Owner.of(pool), Writer(pool)
    commit = owner.take(*WHOLE, until=9)
    first = await writer.commit({KEY: commit})
    again = await writer.commit({KEY: commit})
    assert not again.fenced
    assert again.changed == first.changed == {KEY: {START, START + WINDOW_S, START + 2 * WINDOW_S}}
    assert again.newest_closed == first.newest_closed
    assert again.newest_closed[KEY]["window_start"] == START + 2 * WINDOW_S


async def test_verdicts_sent_again_say_again_what_they_have_changed(pool: asyncpg.Pool) -> None:
    owner, writer = await Owner.of(pool), Writer(pool)
    await owner.store(*WHOLE, until=9)
    commit = owner.take(trade(5, 5.5), until=9)
    first = await writer.commit({KEY: commit})
    assert first.changed[KEY] == {START + number * WINDOW_S for number in (2, 3, 4, 5)}
    assert (await writer.commit({KEY: commit})).changed == first.changed


async def test_a_claim_is_above_every_fence_that_is_known(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    assert (await writer.claim(TOPICS, {KEY: 41}))[KEY].fence == 42
    assert (await writer.claim(TOPICS, {KEY: 50}))[KEY].fence == 51
    assert (await writer.claim(TOPICS, {KEY: 7}))[KEY].fence == 52
    assert (await writer.claim(TOPICS))[KEY].fence == 53


async def stored_once(pool: asyncpg.Pool, commit: Numbered) -> None:
    """Returns when the commit, sent again, is stored."""

    async def is_sent() -> None:
        async with asyncio.timeout(2 * LIMIT_S):
            await Writer(pool).commit({KEY: commit})

    await within(4 * LIMIT_S, is_sent)
    counts = await pool.fetch("SELECT trade_count FROM candles_10s ORDER BY window_start")
    assert [row["trade_count"] for row in counts] == [1, 2, 1]


async def test_a_commit_ends_in_time_although_the_database_is_frozen(
    pool: asyncpg.Pool, postgres: PostgresServer
) -> None:
    commit = (await Owner.of(pool)).take(*WHOLE, until=9)
    postgres.pause()
    try:
        started = time.monotonic()
        with pytest.raises((TimeoutError, StoreUnavailableError)):
            async with asyncio.timeout(2):
                await Writer(pool).commit({KEY: commit})
        assert time.monotonic() - started < LIMIT_S
    finally:
        postgres.resume()
    await stored_once(pool, commit)


async def test_a_commit_ends_in_time_although_the_database_freezes_under_it(
    pool: asyncpg.Pool, postgres: PostgresServer
) -> None:
    """It waits for a lock when that happens, with its transaction open."""
    commit = (await Owner.of(pool)).take(*WHOLE, until=9)
    async with pool.acquire() as connection:
        obstacle = connection.transaction()
        await obstacle.start()
        await connection.execute("LOCK TABLE candles_10s IN EXCLUSIVE MODE")
        committing = asyncio.create_task(Writer(pool).commit({KEY: commit}))

        async def it_waits() -> None:
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            assert await pool.fetch(waiting)

        await within(LIMIT_S, it_waits)
        postgres.pause()
        try:
            committing.cancel()
            await asyncio.wait([committing], timeout=LIMIT_S)
            assert committing.cancelled()
        finally:
            postgres.resume()
        await obstacle.rollback()
    await stored_once(pool, commit)
