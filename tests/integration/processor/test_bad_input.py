"""Records that cannot be decoded or cannot be true are rejected, reading continues, and no candle is wrong."""

from decimal import localcontext
from typing import Any

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from marketstream.codec import Heartbeat, TradesRecord, encode
from marketstream.market.trade import Trade, Trades
from marketstream.processor import metrics
from structlog.testing import capture_logs

from tests.harness.model import reference_candles
from tests.harness.samples import sample
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE
from tests.harness.tables import assert_rollups_follow, stored_rows
from tests.integration.processor.market import EXCHANGE, KEY, SYMBOL, Market, heartbeat, record, trade

GOOD = [trade(trade_id, 0.5 + trade_id / 2, price=100 + trade_id) for trade_id in range(12)]


def columns(**changes: Any) -> Trades:
    """Return two trades that follow the first half of GOOD, except for the changes."""
    times = [GOOD[6].time, GOOD[7].time]
    sound = Trades(PRICE_SCALE, QUANTITY_SCALE, 6, times, [1, 10_000], [7, 7], b"\1\0")
    return msgspec.structs.replace(sound, **changes)


def holding(trades: Trades, exchange: str = EXCHANGE, symbol: str = SYMBOL) -> bytes:
    return encode(TradesRecord(exchange, symbol, GOOD[-1].time, trades))


def raw(*fields: Any) -> bytes:
    """Return a record put together by hand."""
    return msgspec.msgpack.encode(fields)


TIMES = columns().times
BAD = {
    "nothing at all": b"",
    "no MsgPack": b"\xc1 is no MsgPack",
    "MsgPack of something else": raw({"price": 1}),
    "cut short": holding(columns())[:-3],
    "another version": raw("2.trades", EXCHANGE, SYMBOL, GOOD[-1].time, columns()),
    "another kind": raw("1.quotes", EXCHANGE, SYMBOL, GOOD[-1].time),
    "another symbol": holding(columns(), symbol="ETHUSDT"),
    "another exchange": holding(columns(), exchange="kraken"),
    "times in s": holding(columns(times=[time // 1_000_000 for time in TIMES])),
    "times in ms": holding(columns(times=[time // 1_000 for time in TIMES])),
    "times in ns": holding(columns(times=[time * 1_000 for time in TIMES])),
    "one time in ms": holding(columns(times=[TIMES[0], TIMES[1] // 1_000])),
    "a negative price": holding(columns(prices=[10_000, -1])),
    "a price of nothing": holding(columns(prices=[0, 10_000])),
    "a negative quantity": holding(columns(quantities=[-1, 7])),
    "unequal columns": holding(columns(prices=[1])),
    "unequal sides": holding(columns(taker_buys=b"\1")),
    "no trades": holding(columns(times=[], prices=[], quantities=[], taker_buys=b"")),
    "an id of 2**63": holding(columns(first_id=2**63)),
    "an id of 2**63 among others": holding(columns(ids=[6, 2**63])),
    "a negative id": holding(columns(first_id=-2)),
    "a count of nothing": holding(columns(counts=[1, 0])),
    "a quantity of 40 digits": raw(
        "1.trades", EXCHANGE, SYMBOL, GOOD[-1].time,
        (PRICE_SCALE, QUANTITY_SCALE, 6, TIMES, [1, 1], ["9" * 40, 7], b"\1\0"),
    ),
    "40 digits after the point": holding(columns(quantity_scale=40)),
    "a heartbeat in ns": encode(Heartbeat(EXCHANGE, SYMBOL, GOOD[-1].time, GOOD[-1].time * 1_000, -1)),
}  # fmt: skip


async def assert_stored(pool: asyncpg.Pool, trades: list[Trade]) -> None:
    rows = await stored_rows(pool, KEY)
    assert rows == reference_candles(trades, PRICE_SCALE, QUANTITY_SCALE)
    await assert_rollups_follow(pool, KEY, rows)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_record_is_rejected_and_all_others_are_counted(
    market: Market, pool: asyncpg.Pool, bad: bytes
) -> None:
    before = sample(metrics.SET_ASIDE, **KEY._asdict())
    with capture_logs() as logs:
        async with market.processed():
            await market.publish(record(*GOOD[:6]), bad, record(*GOOD[6:]), heartbeat(20))
            await market.stored(pool)
    await assert_stored(pool, GOOD)
    assert sample(metrics.SET_ASIDE, **KEY._asdict()) == before + 1
    (entry,) = (entry for entry in logs if entry["log_level"] == "error")
    assert (entry["topic"], entry["offset"]) == (market.topic, 1)
    assert entry["error"]


async def test_a_record_without_a_value_is_rejected(market: Market, pool: asyncpg.Pool) -> None:
    async with market.processed():
        await market.publish(record(*GOOD[:6]))
        async with AIOKafkaProducer(bootstrap_servers=market.settings.kafka_bootstrap) as producer:
            await producer.send_and_wait(market.topic, key=b"a key", value=None)
        market.end += 1
        await market.publish(record(*GOOD[6:]), heartbeat(20))
        await market.stored(pool)
    await assert_stored(pool, GOOD)


async def test_bad_records_among_good_ones_that_go_on_from_each_other(market: Market, pool: asyncpg.Pool) -> None:
    """All records exist before the reader starts, so it may read them together."""
    trades = [trade(trade_id, 1 + trade_id / 100, price=100 + trade_id) for trade_id in range(40)]
    singles = [record(trade) for trade in trades]
    seconds = holding(columns(times=[time // 1_000_000 for time in TIMES], first_id=30))
    await market.publish(
        record(trade(0, 0.5)), *singles[1:10], BAD["no MsgPack"], *singles[10:20], BAD["another symbol"],
        *singles[20:30], seconds, *singles[30:], BAD["an id of 2**63"], heartbeat(20),
    )  # fmt: skip
    async with market.processed():
        await market.stored(pool)
    await assert_stored(pool, [trade(0, 0.5), *trades[1:]])


async def test_a_bad_record_is_rejected_again_by_the_next_owner(market: Market, pool: asyncpg.Pool) -> None:
    async with market.processed():
        await market.publish(record(*GOOD[:2]), BAD["no MsgPack"], heartbeat(1.2))
        await market.stored(pool)
    async with market.processed():
        await market.publish(record(*GOOD[2:]), heartbeat(20))
        await market.stored(pool)
    await assert_stored(pool, GOOD)


async def test_a_jump_of_a_billion_ids_is_no_hole_and_delays_nothing(market: Market, pool: asyncpg.Pool) -> None:
    jump = [trade(10**9 + number, 3.2 + number) for number in range(4)]
    async with market.processed():
        await market.publish(record(*GOOD[:6]), record(*jump), record(*GOOD[6:]), heartbeat(20))
        await market.stored(pool)
    await assert_stored(pool, GOOD + jump)
    reasons = await pool.fetch("SELECT DISTINCT incomplete_reason FROM candles_10s")
    assert {row["incomplete_reason"] for row in reasons} == {None, "unconfirmed"}


async def test_the_greatest_numbers_that_fit_are_exact(market: Market, pool: asyncpg.Pool) -> None:
    greatest = 2**63 - 1
    trades = [
        Trade(2**62 - 10 + number, 1, EPOCH + number, greatest, greatest, taker_buy=True) for number in range(3)
    ]  # fmt: skip
    async with market.processed():
        await market.publish(record(*trades), heartbeat(3))
        await market.stored(pool)
    with localcontext(prec=100):  # for the reference, not for the values compared with it
        await assert_stored(pool, trades)
