"""The commits of an owned symbol, and its position after its topic was deleted and created again."""

import asyncio

import msgspec
import pytest
from marketstream.codec import UnorderedRecord, decode, encode
from marketstream.kafka.consumer import Offsets
from marketstream.market.candle import UNORDERED_IDS
from marketstream.market.progress import Progress
from marketstream.processor import metrics, symbol
from structlog.testing import capture_logs

from tests.harness.samples import sample
from tests.unit.processor.owners import KEY, apply, at, counted, heartbeat, owner, record
from tests.unit.virtual import VirtualClock, virtually


def test_a_topic_created_again_while_it_is_read_is_read_from_its_begin() -> None:
    owned = owner(progress=Progress(resume_offset=7, position=7), offsets=Offsets(0, 7))
    apply(owned, record(at(1, 0.5)), record(at(2, 0.6)))
    assert owned.position == 9
    apply(owned, record(at(3, 0.7)), record(at(5, 1.5)), offset=0)
    assert (counted(owned), owned.position) == ([(1, 3), (5, 5)], 2)
    apply(owned, record(at(4, 0.8)), heartbeat(4))
    assert (counted(owned), owned.position) == ([(1, 5)], 4)
    commit = owned.take().commit
    assert [closed.candle.trade_count for closed in commit.candles] == [4, 1]
    assert (commit.progress.position, commit.progress.resume_offset) == (4, 4)


def test_a_topic_created_again_while_nobody_read_it_is_read_from_its_begin() -> None:
    owned = owner(progress=Progress(resume_offset=700, position=700), offsets=Offsets(0, 2))
    assert (owned.position, owned.is_read_up) == (0, False)
    apply(owned, record(at(1, 0.5)), record(at(2, 0.6)))
    assert (counted(owned), owned.is_read_up) == ([(1, 2)], True)


def test_a_topic_created_again_is_still_read_up() -> None:
    """Otherwise no hole is filled and no trade shown until the new topic is as long as the old one was."""
    owned = owner(progress=Progress(resume_offset=7_000, position=7_000), offsets=Offsets(0, 7_000))
    apply(owned, record(at(1, 0.5)))
    assert owned.is_read_up
    apply(owned, record(at(2, 0.6)), offset=0)
    assert owned.is_read_up


def test_commits_are_numbered_from_the_claim_on_and_carry_its_fence() -> None:
    owned = owner()
    assert not owned.has_moved
    apply(owned, record(at(1, 0.5)), heartbeat(3))
    assert (owned.is_due, owned.has_moved) == (True, True)
    first, second = owned.take(), owned.take()
    assert (first.fence, first.number, second.number) == (owned.fence, 1, 2)
    assert [closed.candle.trade_count for closed in first.commit.candles] == [1]
    assert second.commit.candles == []
    assert (owned.is_due, owned.has_moved) == (False, False)


def test_records_that_are_read_again_are_not_shown() -> None:
    owned = owner(offsets=Offsets(0, 2))
    apply(owned, record(at(1, 0.5)))
    apply(owned, record(at(2, 0.6)))
    assert (list(owned.tape), owned.is_read_up) == ([], True)
    apply(owned, record(at(3, 0.7)))
    assert [trade.id for shown in owned.tape for trade in shown.trades] == [3]


def test_lost_records_are_counted_and_their_trades_are_a_hole() -> None:
    owned, lost = owner(), sample(metrics.LOST_RECORDS, **KEY._asdict())
    apply(owned, record(at(1, 0.5)))
    apply(owned, record(at(4, 0.8)), offset=3)
    assert sample(metrics.LOST_RECORDS, **KEY._asdict()) == lost + 2
    assert list(owned.ledger.holes()) == [(2, 3)]
    assert owned.beginnings == 0


def test_candles_of_ids_without_order_say_so_and_count_each_trade_once() -> None:
    owned = owner()
    decoded = map(decode, (record(at(1, 0.5)), record(at(1, 0.5)), record(at(7, 1.5))))
    unordered = [encode(UnorderedRecord(*msgspec.structs.astuple(each))) for each in decoded]
    apply(owned, *unordered, heartbeat(4))
    candles = owned.take().commit.candles
    assert [(closed.candle.trade_count, closed.reason) for closed in candles] == [(1, UNORDERED_IDS)] * 2
    assert list(owned.ledger.holes()) == []


def test_a_refused_record_of_ids_without_order_changes_nothing() -> None:
    owned = owner()
    impossible = decode(record(at(1, 0.5), received_us=1))
    apply(owned, encode(UnorderedRecord(*msgspec.structs.astuple(impossible))))
    assert not owned.ledger.is_unordered
    apply(owned, record(at(2, 0.6)), record(at(4, 0.7)), heartbeat(4))
    assert list(owned.ledger.holes()) == [(3, 3)]


def test_a_symbol_that_trades_is_no_longer_unlisted() -> None:
    owned = owner()
    owned.unlisted = True
    apply(owned, heartbeat(0.5))
    assert owned.unlisted
    apply(owned, record(at(1, 0.5)))
    assert not owned.unlisted


def test_heartbeats_say_whether_the_feed_is_connected() -> None:
    owned = owner()
    assert owned.is_connected
    apply(owned, record(at(1, 0.5)), heartbeat(2, is_connected=False))
    assert not owned.is_connected
    apply(owned, heartbeat(2))
    assert owned.is_connected


def test_a_producer_that_sends_no_heartbeats_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol, "time", VirtualClock)

    @virtually
    async def silent() -> None:
        owned = owner()
        await asyncio.sleep(10)
        apply(owned, heartbeat(1))
        await asyncio.sleep(14)
        assert owned.is_connected
        await asyncio.sleep(2)
        assert not owned.is_connected
        apply(owned, heartbeat(1))
        assert owned.is_connected

    silent()


def test_ids_that_begin_again_are_counted_and_logged() -> None:
    owned = owner()
    before = sample(metrics.GENERATIONS, **KEY._asdict())
    apply(owned, record(*(at(trade_id, trade_id) for trade_id in range(5, 10))))
    with capture_logs() as lines:
        apply(owned, record(at(1, 90), at(2, 91)), offset=1)
    assert counted(owned) == [(1, 2)]
    assert sample(metrics.GENERATIONS, **KEY._asdict()) == before + 1
    (line,) = [line for line in lines if line["event"] == "trade ids began again"]
    assert (line["symbol"], line["newest_id"], line["first_id"]) == (KEY.symbol, 9, 1)
    assert line["time_us"] == at(1, 90).time
