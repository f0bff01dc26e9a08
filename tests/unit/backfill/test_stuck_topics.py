"""A topic that takes no records delays the backfill of its own symbol only; in virtual time."""

import asyncio

from marketstream.backfill.pages import MOST_STUCK_S
from structlog.testing import capture_logs

from tests.unit.backfill.world import FIRST, OTHER, QUIET_S, Exchange, Topics, backfilled, hear, is_whole, known, trade
from tests.unit.virtual import now_us, seconds_until, virtually


@virtually
async def test_a_topic_that_is_stuck_delays_the_holes_of_others_once_and_is_tried_later_and_later() -> None:
    first, other = known(FIRST), known(OTHER)
    exchange, topics = Exchange(map(trade, range(600)), (FIRST.symbol, OTHER.symbol)), Topics(first, other)
    topics.stuck.add(first.topic)
    hear(first, trade(500))
    hear(other, trade(400))
    with capture_logs() as lines:
        async with backfilled(exchange, first, other, topics=topics):
            await seconds_until(lambda: is_whole(other), 16)
            await asyncio.sleep(3_600)
            assert 10 <= sum(line["event"] == "fetched trades not counted, will retry" for line in lines) <= 30
            topics.stuck.clear()
            await seconds_until(lambda: is_whole(first), MOST_STUCK_S + 20)
    assert not [line for line in lines if line["event"] == "request to the history failed, will retry"]


@virtually
async def test_a_topic_that_is_stuck_delays_the_proofs_of_other_quiet_markets_only_for_a_moment() -> None:
    first, other = known(FIRST), known(OTHER)
    exchange, topics = Exchange(map(trade, range(5)), (FIRST.symbol, OTHER.symbol)), Topics(first, other)
    topics.stuck.add(first.topic)
    for owned in (first, other):
        hear(owned, *map(trade, range(1, 5)))
    ages_s = []
    async with backfilled(exchange, first, other, topics=topics):
        await asyncio.sleep(10 * QUIET_S)
        for _ in range(600):
            await asyncio.sleep(1)
            ages_s.append((now_us() - other.ledger.counted.runs[-1].high_time) / 1e6)
    assert max(ages_s) <= QUIET_S + 10 + 12, "the margin, and once the limit for the topic that is stuck"
