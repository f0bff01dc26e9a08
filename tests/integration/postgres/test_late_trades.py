"""A late trade corrects its window, and either keeps the proof of completeness or takes it away."""

from random import Random

import asyncpg
import pytest
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.postgres.statements import FOLLOW, FOLLOWING

from tests.harness.model import MemoryStore
from tests.harness.rows import CANDLE, add_candles
from tests.harness.scenarios import EPOCH, disordered, false_rows
from tests.harness.tables import assert_rollups_follow, stored_reasons, stored_rows
from tests.integration.postgres.owner import START, WHOLE, Owner
from tests.integration.processor.market import KEY, trade


async def reasons(pool: asyncpg.Pool) -> dict[int, str | None]:
    """Return the reason why each window is incomplete, by the number of the window since START."""
    return {(start - START) // WINDOW_S: reason for start, reason in (await stored_reasons(pool, KEY)).items()}


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
    """The time of the late trade does not follow the order of the ids."""
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


@pytest.mark.parametrize("seed", [2, 13, 27, 50])
async def test_trades_out_of_order_leave_no_false_row_and_no_false_rollup(pool: asyncpg.Pool, seed: int) -> None:
    owner, store = await Owner.of(pool), MemoryStore()
    trades = disordered(Random(seed), 20_000_000)
    for number, late in enumerate(trades):
        until = (trades[-1].time - EPOCH) / WINDOW_US + 10 if number == len(trades) - 1 else 0.0
        numbered = owner.take(late, until=until)
        await owner.commit(numbered)
        store.apply(numbered.commit)
    rows = await stored_rows(pool, KEY)
    assert false_rows(rows, trades) == []
    assert rows == store.rows()
    assert any(row.trade_count == 0 for row in rows.values())
    await assert_rollups_follow(pool, KEY, rows)


async def test_empty_windows_take_over_a_close_that_changes_late_up_to_the_next_trade(pool: asyncpg.Pool) -> None:
    owner = await Owner.of(pool)
    await owner.store(trade(1, 0.5), trade(2, 1.2, price=100), trade(3, 4.5, price=300), trade(5, 8.5), until=12)
    await owner.store(trade(4, 1.9, price=200))
    rows = {(row.window_start - START) // WINDOW_S: row for row in (await stored_rows(pool, KEY)).values()}
    assert [int(rows[window].close) for window in (1, 2, 3, 4)] == [2, 2, 2, 3]
    assert (rows[2].first_trade_id, rows[2].last_trade_id) == (5, 4)
    revisions = await pool.fetch("SELECT revision FROM candles_10s WHERE trade_count = 0 ORDER BY window_start")
    assert [row["revision"] for row in revisions][:2] == [1, 1]


async def test_the_empty_windows_after_a_candle_are_found_without_a_scan(pool: asyncpg.Pool) -> None:
    names = [column for column in CANDLE if column not in ("window_start", "symbol", "trade_count")]
    async with pool.acquire() as connection:
        await add_candles(connection, CANDLE)
        await connection.execute(
            f"""INSERT INTO candles_10s (symbol, window_start, trade_count, {", ".join(names)})
                SELECT 'S' || s, w, (w % 100 = 0)::int, {", ".join(names)}
                FROM candles_10s, generate_series(1, 3) AS s, generate_series({START}, {START + 900_000}, 10) AS w"""
        )
        await connection.execute("ANALYZE candles_10s")
        keys = ["binance"], ["S2"], [START + 450_000]
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET plan_cache_mode = '{mode}'")
            for statement, arguments in (
                (FOLLOWING, keys),
                (FOLLOW, (*keys, ["1"], [1], [1], [1])),
            ):
                plan = await connection.fetch(f"EXPLAIN {statement}", *arguments)
                text = "\n".join(row[0] for row in plan)
                assert "Seq Scan" not in text, f"{mode}: {text}"
