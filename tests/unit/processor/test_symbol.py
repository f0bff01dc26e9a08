"""What one symbol does with records that cannot be true, and with a topic that begins again."""

import pytest
from marketstream.codec import Heartbeat, Quiet, TradesRecord, encode
from marketstream.kafka.consumer import Offsets
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.processor import metrics

from tests.harness.samples import sample
from tests.harness.scenarios import PRICE_SCALE, QUANTITY_SCALE
from tests.unit.processor.owners import KEY, apply, at, counted, heartbeat, owner, record, us

GREATEST = 2**63 - 1


def in_ns(trade: Trade) -> Trade:
    return trade._replace(time=trade.time * 1_000)


IMPOSSIBLE = {
    "trades in ns": record(in_ns(at(2, 0.6))),
    "trades in ns, of which the first goes on": encode(
        TradesRecord(
            *KEY, us(1) * 1_000, Trades.of([at(2, 0.6), in_ns(at(3, 0.7))], PRICE_SCALE, QUANTITY_SCALE)
        )
    ),
    "a heartbeat in ns": encode(Heartbeat(*KEY, us(1) * 1_000, us(1) * 1_000, -1)),
    "a quiet market in ns": encode(Quiet(*KEY, us(1) * 1_000, 1, us(1) * 1_000)),
}  # fmt: skip


@pytest.mark.parametrize("bad", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_times_in_ns_are_set_aside_although_the_receiver_s_clock_says_the_same(bad: bytes) -> None:
    owned = owner()
    apply(owned, record(at(1, 0.5)))
    heard_us, before = owned.aggregator.heard_us, sample(metrics.SET_ASIDE, **KEY._asdict())
    apply(owned, bad)
    assert sample(metrics.SET_ASIDE, **KEY._asdict()) == before + 1
    assert (counted(owned), owned.aggregator.heard_us, owned.position) == ([(1, 1)], heard_us, 2)
    apply(owned, record(at(2, 0.6)), heartbeat(3))
    assert counted(owned) == [(1, 2)]
    assert [closed.candle.trade_count for closed in owned.take().commit.candles] == [2]


def test_the_greatest_received_us_with_honest_times_is_harmless() -> None:
    owned = owner()
    before = sample(metrics.SET_ASIDE, **KEY._asdict())
    apply(
        owned,
        record(at(1, 0.5), received_us=GREATEST),
        record(at(2, 0.6)),
        record(at(3, 1.6), received_us=GREATEST),
        encode(Heartbeat(*KEY, GREATEST, us(2.5), -1)),
        encode(Quiet(*KEY, GREATEST, 3, us(2.5))),
    )
    assert sample(metrics.SET_ASIDE, **KEY._asdict()) == before
    assert (counted(owned), owned.aggregator.heard_us) == ([(1, 3)], us(2.5))
    apply(owned, record(at(4, 2.6)), heartbeat(9))
    assert counted(owned) == [(1, 4)]


def test_a_topic_made_anew_while_it_is_read_is_read_from_its_begin() -> None:
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


def test_a_topic_made_anew_while_nobody_read_it_is_read_from_its_begin() -> None:
    owned = owner(progress=Progress(resume_offset=700, position=700), offsets=Offsets(0, 2))
    assert (owned.position, owned.is_read_up) == (0, False)
    apply(owned, record(at(1, 0.5)), record(at(2, 0.6)))
    assert (counted(owned), owned.is_read_up) == ([(1, 2)], True)


def test_a_topic_made_anew_is_still_read_up() -> None:
    """Else nothing of it is filled, and no trade of it is shown, until it is as long as the one before was."""
    owned = owner(progress=Progress(resume_offset=7_000, position=7_000), offsets=Offsets(0, 7_000))
    apply(owned, record(at(1, 0.5)))
    assert owned.is_read_up
    apply(owned, record(at(2, 0.6)), offset=0)
    assert owned.is_read_up
