import asyncio

import pytest
from marketstream.processor import metrics
from marketstream.processor.holdings import Holdings, reclaim_after_s
from marketstream.settings import Settings

from tests.harness.samples import sample
from tests.unit.processor.owners import owner

RECLAIM_S = 0.01


@pytest.fixture
def holdings() -> Holdings:
    """Return holdings that own the one assigned symbol."""
    holdings, owned = Holdings(), owner()
    holdings.assign({owned.topic})
    holdings.wants_claim.clear()
    holdings.own(owned)
    return holdings


TOPIC = owner().topic


def test_an_assigned_topic_waits_for_its_claim() -> None:
    holdings = Holdings()
    holdings.assign({TOPIC})
    assert (holdings.unclaimed, holdings.owned, holdings.wants_claim.is_set()) == ({TOPIC}, {}, True)


def test_an_owned_symbol_waits_for_nothing(holdings: Holdings) -> None:
    assert (holdings.unclaimed, list(holdings.owned), sample(metrics.OWNED)) == (set(), [TOPIC], 1)


def test_a_topic_that_is_assigned_again_must_be_claimed_again(holdings: Holdings) -> None:
    """Another process may have owned it in between."""
    before = holdings.assignments
    holdings.assign({TOPIC})
    assert (holdings.unclaimed, holdings.owned, holdings.assignments) == ({TOPIC}, {}, before + 1)


def test_a_revoked_topic_is_neither_owned_nor_claimed(holdings: Holdings) -> None:
    holdings.revoke({TOPIC})
    assert (holdings.assigned, holdings.unclaimed, holdings.owned, sample(metrics.OWNED)) == (set(), set(), {}, 0)


async def test_a_lost_symbol_is_claimed_again_if_its_topic_stays_assigned(holdings: Holdings) -> None:
    holdings.lose(TOPIC, RECLAIM_S)
    assert (holdings.owned, holdings.unclaimed) == ({}, set())
    await asyncio.wait_for(holdings.wants_claim.wait(), 5)
    assert holdings.unclaimed == {TOPIC}


async def test_a_lost_symbol_is_left_alone_if_its_topic_is_revoked(holdings: Holdings) -> None:
    holdings.lose(TOPIC, RECLAIM_S)
    holdings.revoke({TOPIC})
    await asyncio.sleep(3 * RECLAIM_S)
    assert not holdings.wants_claim.is_set()


async def test_a_symbol_claimed_meanwhile_is_not_claimed_a_third_time(holdings: Holdings) -> None:
    doubtful = holdings.owned[TOPIC]
    holdings.reclaim_later(doubtful, RECLAIM_S)
    holdings.own(owner())
    await asyncio.sleep(3 * RECLAIM_S)
    assert not holdings.wants_claim.is_set()


def test_a_reclaim_waits_until_the_group_has_replaced_an_owner_that_is_gone() -> None:
    settings = Settings(kafka_session_timeout_ms=6_000)
    assert reclaim_after_s(settings) == 12.0
