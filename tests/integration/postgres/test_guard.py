"""A commit is stored once, and only by the owner of the symbol, even if others write at the same time."""

import asyncio
from typing import Any

import asyncpg
import pytest
from marketstream.market.candle import Candle
from marketstream.market.counted import Run
from marketstream.market.progress import ClosedCandle, Commit, Progress
from marketstream.market.trade import Trade
from marketstream.market.verdict import Verdict
from marketstream.market.window import INTERVALS, WINDOW_S, WINDOW_US
from marketstream.postgres.errors import StoreError, StoreUnavailableError
from marketstream.postgres.session import Session
from marketstream.postgres.statements import CLAIM
from marketstream.postgres.writer import Claim, Numbered, SymbolKey, Writer

from tests.harness.clients import within
from tests.harness.tables import account, stored_reasons

KEY, OTHER = SymbolKey("binance", "BTCUSDT"), SymbolKey("binance", "ETHUSDT")
TOPICS = {KEY: "trades.binance.btcusdt", OTHER: "trades.binance.ethusdt"}
FIRST = 161_006_400  # a window number


async def claim(writer: Writer, key: SymbolKey = KEY) -> Claim:
    return (await writer.claim({key: TOPICS[key]}))[key]


def candle_at(window: int, trade_id: int) -> Candle:
    return Candle(window, 2, 6, Trade(trade_id, 1, window * WINDOW_US, 100 + trade_id, 5_000_000, taker_buy=True))


def numbered(claimed: Claim, after: int = 1, *verdicts: Verdict, **candle: int) -> Numbered:
    """Return a commit of a trade and verdicts, numbered `after` more than the last one of the claim."""
    trade_id, window = candle.get("trade_id", 7), candle.get("window", FIRST)
    time = window * WINDOW_US
    progress = Progress(
        resume_offset=1, position=2, closed_until=window + 1, counted=(Run(trade_id, trade_id, time, time),)
    )
    candles = [ClosedCandle(candle_at(window, trade_id), "unconfirmed")]
    return Numbered(
        claimed.fence,
        claimed.commit_number + after,
        Commit(candles=candles, verdicts=list(verdicts), progress=progress),
    )


def only(claimed: Claim, after: int, *verdicts: Verdict) -> Numbered:
    """Return a commit of verdicts only, numbered `after` more than the last one of the claim."""
    number = claimed.commit_number + after
    return Numbered(claimed.fence, number, Commit(verdicts=list(verdicts), progress=claimed.progress))


def verdict(first: int, last: int, reason: str | None, low: int = 0, high: int = 1_000) -> Verdict:
    """Return a verdict on windows counted from FIRST."""
    return Verdict(FIRST + first, FIRST + last, reason, low, high)


async def everything(pool: asyncpg.Pool) -> dict[str, list[Any]]:
    """Return all rows of all tables that a commit writes."""
    tables = ["progress", *(interval.table for interval in INTERVALS.values())]
    return {table: await pool.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables}


async def waits_for_lock(pool: asyncpg.Pool, statement: str) -> None:
    """Wait until a session waits for a lock in a statement that contains this text."""

    async def shown() -> None:
        waiting = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND position($1 IN query) > 0",
            statement,
        )
        assert waiting == 1, f"no session waits for a lock in {statement!r}"

    await within(10, shown)


async def test_an_old_owner_writes_nothing_at_all(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    old = await claim(writer)
    await writer.commit({KEY: numbered(old)})
    await claim(writer)
    before = await everything(pool)
    committed = await writer.commit({KEY: numbered(old, 2)})
    assert committed.fenced == {KEY}
    assert not committed.newest_closed
    assert await everything(pool) == before


async def test_an_owner_that_is_replaced_while_it_commits_writes_nothing(pool: asyncpg.Pool) -> None:
    """The transaction of the old owner, and its first snapshot, began before the new claim was committed."""
    writer = Writer(pool)
    old = await claim(writer)
    async with pool.acquire() as connection:
        claiming = connection.transaction()
        await claiming.start()
        await connection.execute(CLAIM, [KEY.exchange], [KEY.symbol], ["another topic"], [0])
        committing = asyncio.create_task(writer.commit({KEY: numbered(old)}))
        await waits_for_lock(pool, "FROM progress")
        await claiming.commit()
    assert (await asyncio.wait_for(committing, 10)).fenced == {KEY}
    assert not await pool.fetch("SELECT FROM candles_10s")
    assert await pool.fetchval("SELECT (fence, commit_number, topic) FROM progress") == (2, 0, "another topic")


async def test_a_claim_waits_for_the_commit_that_was_there_first_and_sees_it(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    old = await claim(writer)
    commit = numbered(old)
    async with pool.acquire() as connection:
        obstacle = connection.transaction()
        await obstacle.start()
        await connection.execute("LOCK TABLE candles_10s IN EXCLUSIVE MODE")
        committing = asyncio.create_task(writer.commit({KEY: commit}))
        await waits_for_lock(pool, "INSERT INTO candles_10s")
        claiming = asyncio.create_task(claim(writer))
        await waits_for_lock(pool, "INSERT INTO progress")
        await obstacle.rollback()
    assert not (await asyncio.wait_for(committing, 10)).fenced
    new = await asyncio.wait_for(claiming, 10)
    assert (new.fence, new.commit_number) == (old.fence + 1, old.commit_number + 1)
    assert account(new.progress) == account(commit.commit.progress)


async def test_a_claim_is_above_every_fence_that_is_known(pool: asyncpg.Pool) -> None:
    writer, topics = Writer(pool), {KEY: TOPICS[KEY]}
    assert (await writer.claim(topics, {KEY: 41}))[KEY].fence == 42
    assert (await writer.claim(topics, {KEY: 50}))[KEY].fence == 51
    assert (await writer.claim(topics, {KEY: 7}))[KEY].fence == 52
    assert (await writer.claim(topics))[KEY].fence == 53


async def test_a_lock_held_for_too_long_is_an_outage(pool: asyncpg.Pool, database_url: str) -> None:
    """A service retries this error, and exits at any other StoreError."""
    commit = numbered(await claim(Writer(pool)))
    impatient = asyncpg.create_pool(database_url, server_settings={"lock_timeout": "100ms"}, connection_class=Session)
    async with pool.acquire() as connection, impatient as hasty:
        obstacle = connection.transaction()
        await obstacle.start()
        await connection.execute("SELECT FROM progress FOR UPDATE")
        with pytest.raises(StoreUnavailableError):
            await Writer(hasty).commit({KEY: commit})
        with pytest.raises(StoreUnavailableError):
            await claim(Writer(hasty))
        await obstacle.rollback()
        assert not (await Writer(hasty).commit({KEY: commit})).fenced


async def test_of_several_symbols_only_the_lost_ones_are_dropped(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    ours, lost = await claim(writer), await claim(writer, OTHER)
    await claim(writer, OTHER)
    committed = await writer.commit({KEY: numbered(ours), OTHER: numbered(lost)})
    assert committed.fenced == {OTHER}
    assert set(committed.newest_closed) == {KEY}
    for interval in INTERVALS.values():
        rows = await pool.fetch(f"SELECT symbol FROM {interval.table}")
        assert [row["symbol"] for row in rows] == [KEY.symbol]


async def test_a_symbol_that_nobody_claimed_is_fenced(pool: asyncpg.Pool) -> None:
    assert (await Writer(pool).commit({KEY: numbered(Claim(1, 0, Progress()))})).fenced == {KEY}


async def test_a_commit_whose_answer_was_lost_is_stored_once(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    commit = numbered(await claim(writer))
    await writer.commit({KEY: commit})
    before = await everything(pool)
    assert not (await writer.commit({KEY: commit})).fenced
    assert await everything(pool) == before


async def test_a_commit_sent_again_does_not_block_a_new_one_beside_it(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    again, new = numbered(await claim(writer)), numbered(await claim(writer, OTHER))
    await writer.commit({KEY: again})
    await writer.commit({KEY: again, OTHER: new})
    counts = await pool.fetch("SELECT symbol, trade_count FROM candles_10s ORDER BY symbol")
    assert [tuple(row) for row in counts] == [(KEY.symbol, 1), (OTHER.symbol, 1)]


async def test_a_commit_out_of_order_is_an_error_and_stores_nothing(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    early, good = numbered(await claim(writer), 2), numbered(await claim(writer, OTHER))
    before = await everything(pool)
    with pytest.raises(StoreError, match="BTCUSDT"):
        await writer.commit({KEY: early, OTHER: good})
    assert await everything(pool) == before


async def test_what_is_proven_stays_proven(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    claimed = await claim(writer)
    await writer.commit({KEY: numbered(claimed, 1, verdict(0, 0, None))})
    await writer.commit({KEY: only(claimed, 2, verdict(0, 0, "hole"))})
    assert await stored_reasons(pool, KEY) == {FIRST * WINDOW_S: None}


async def test_the_reason_follows_the_newest_verdict_and_each_change_is_a_revision(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    claimed = await claim(writer)
    await writer.commit({KEY: numbered(claimed)})
    for after, reason in enumerate(("hole", "hole", "unfillable", None), 2):
        await writer.commit({KEY: only(claimed, after, verdict(0, 0, reason))})
        assert await stored_reasons(pool, KEY) == {FIRST * WINDOW_S: reason}
    assert await pool.fetchval("SELECT revision FROM candles_10s") == 3, "hole, unfillable and proven"


async def test_a_proof_of_other_ids_than_the_candle_holds_proves_nothing(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    claimed = await claim(writer)
    await writer.commit({KEY: numbered(claimed, trade_id=7)})
    await writer.commit({KEY: only(claimed, 2, verdict(0, 2, None, low=8, high=20))})
    assert await stored_reasons(pool, KEY) == {FIRST * WINDOW_S: "unconfirmed"}


async def test_empty_windows_are_rows_once_proven_and_trades_may_still_come(pool: asyncpg.Pool) -> None:
    writer = Writer(pool)
    claimed = await claim(writer)
    await writer.commit({KEY: numbered(claimed, 1, verdict(0, 2, None))})
    rows = await pool.fetch("SELECT * FROM candles_10s ORDER BY window_start")
    assert [row["trade_count"] for row in rows] == [1, 0, 0]
    assert {row["open"] for row in rows} == {row["close"] for row in rows} == {rows[0]["close"]}
    assert (rows[2]["first_trade_id"], rows[2]["last_trade_id"], rows[2]["volume"]) == (8, 7, 0)
    await writer.commit({KEY: numbered(claimed, 2, trade_id=8, window=FIRST + 1)})
    filled = await pool.fetchrow("SELECT * FROM candles_10s WHERE window_start = $1", (FIRST + 1) * WINDOW_S)
    assert filled is not None
    assert (filled["trade_count"], filled["first_trade_id"], filled["open_id"], filled["revision"]) == (1, 8, 8, 1)
    assert filled["open"] == filled["high"] == filled["low"] == filled["close"] != rows[0]["close"]
