"""A late trade corrects its window, and either keeps the proof of completeness or takes it away."""

import asyncpg
from marketstream.market.window import WINDOW_S

from tests.harness.tables import stored_reasons
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
