"""Leader election in virtual time, against a Lease in memory. tests/integration/operator uses a real API server."""

import asyncio
import contextlib
from typing import Any

import pytest
from marketstream_operator.kube.api import WRITE_S, ApiError
from marketstream_operator.kube.election import (
    DURATION_S,
    RENEW_DEADLINE_S,
    RETRY_S,
    Election,
    LeaseLostError,
    identity,
)

from tests.unit.operator.kube.leases import Candidate, Link, Store, now
from tests.unit.virtual import seconds_until, virtually


def test_a_write_that_is_under_way_when_the_lease_runs_out_ends_before_the_next_leader_begins() -> None:
    assert WRITE_S < DURATION_S - RENEW_DEADLINE_S


def test_no_two_processes_have_the_same_identity() -> None:
    assert identity("pod-0").startswith("pod-0_")
    assert identity("pod-0") != identity("pod-0")


@virtually
async def test_one_of_several_leads_and_only_it_holds_the_lease() -> None:
    store = Store()
    candidates = [Candidate(store, name) for name in "abc"]
    await asyncio.sleep(300)
    (leader,) = (candidate for candidate in candidates if candidate.election.holds())
    assert leader.is_acting
    assert [c.name for c in candidates if c.election.holds()] == [leader.name]
    assert store.spec["holderIdentity"] == leader.name
    assert store.spec["leaseDurationSeconds"] == DURATION_S
    assert store.spec["leaseTransitions"] == 0
    assert store.spec["acquireTime"] < store.spec["renewTime"]
    assert len(store.spec["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


@virtually
async def test_a_leader_that_dies_is_replaced_when_its_lease_has_run_out_and_not_earlier() -> None:
    store = Store()
    first = Candidate(store, "a")
    await first.leads()
    second = Candidate(store, "b", clock_is=5e6)
    await asyncio.sleep(100)
    acquired = store.spec["acquireTime"]
    died = now()
    first.die()
    taken = await second.leads() - died
    assert DURATION_S - RETRY_S < taken < DURATION_S + RETRY_S + 0.1
    assert store.spec["leaseTransitions"] == 1
    assert store.spec["acquireTime"] > acquired
    with pytest.raises(LeaseLostError):
        await first.task


@virtually
async def test_a_leader_that_stops_ends_its_work_first_and_is_then_replaced_at_once() -> None:
    store = Store()
    first = Candidate(store, "a")
    await first.leads()
    second = Candidate(store, "b")
    first.cleanup_s = 12
    await asyncio.sleep(20)
    asked = now()
    await first.stop()
    assert now() - asked == pytest.approx(12, abs=0.1)
    assert not first.is_acting
    assert not first.election.holds()
    assert store.spec["holderIdentity"] == ""
    assert store.spec["leaseDurationSeconds"] == 1
    assert await second.leads() - asked < 12 + RETRY_S + 0.1


@virtually
async def test_what_was_never_won_is_not_given_back() -> None:
    store = Store()
    first = Candidate(store, "a")
    await first.leads()
    second = Candidate(store, "b")
    await asyncio.sleep(10)
    await second.stop()
    assert store.spec["holderIdentity"] == "a"


@virtually
async def test_a_lease_that_was_being_taken_when_its_taker_stopped_is_given_back() -> None:
    store = Store()
    first = Candidate(store, "a")
    first.link.loses_answers = True
    await seconds_until(lambda: store.lease is not None, 5)
    first.link.loses_answers = False
    await first.stop()
    assert store.spec["holderIdentity"] == ""


@pytest.mark.parametrize("error", [ApiError("refused"), ApiError("500", 500), None])
def test_a_leader_outlives_a_short_absence_of_the_api_server_and_ends_at_its_deadline_in_a_long_one(
    error: ApiError | None,
) -> None:
    @virtually
    async def scenario() -> None:
        leader = Candidate(Store(), "a")
        await leader.leads()

        async def absence(seconds: float) -> None:
            leader.link.error, leader.link.is_cut = error, error is None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(leader.task)
            leader.link.error, leader.link.is_cut = None, False

        for _ in range(5):
            await absence(6.5)
            await asyncio.sleep(5)
        assert leader.election.holds()
        assert leader.is_acting
        began = now()
        with pytest.raises(LeaseLostError, match="could not be renewed in 10 s"):
            await absence(30)
        assert RENEW_DEADLINE_S - RETRY_S < now() - began < RENEW_DEADLINE_S + 2.1
        assert not leader.election.holds()
        assert not leader.is_acting

    scenario()


@virtually
async def test_renewals_whose_answers_are_lost_do_not_count_but_neither_do_they_end_its_time() -> None:
    store = Store()
    leader = Candidate(store, "a")
    await leader.leads()
    leader.link.loses_answers = True
    await asyncio.sleep(6)
    renewed = store.spec["renewTime"]
    leader.link.loses_answers = False
    await asyncio.sleep(60)
    assert leader.election.holds()
    assert store.spec["renewTime"] > renewed
    assert store.spec["leaseTransitions"] == 0
    leader.link.loses_answers = True
    began = now()
    with pytest.raises(LeaseLostError):
        await leader.task
    assert now() - began < RENEW_DEADLINE_S + 2.1


@virtually
async def test_a_slow_answer_leaves_less_time_not_more() -> None:
    leader = Candidate(Store(), "a")
    leader.link.back_s = 2.5
    won = await leader.leads()
    leader.die()
    lost = await seconds_until(lambda: not leader.election.holds(), 20)
    assert lost - won == pytest.approx(RENEW_DEADLINE_S - 2.5, abs=0.1)


@virtually
async def test_the_lease_in_other_hands_ends_the_leader() -> None:
    store = Store()
    leader = Candidate(store, "a")
    await leader.leads()
    lease = store.get()
    lease["spec"]["holderIdentity"] = "z"
    store.put(lease)
    began = now()
    with pytest.raises(LeaseLostError, match="held by z"):
        await leader.task
    assert now() - began < 2 * RETRY_S + 0.1
    assert store.spec["holderIdentity"] == "z"


@virtually
async def test_a_change_by_others_that_leaves_the_holder_is_kept_and_renewing_goes_on() -> None:
    store = Store()
    leader = Candidate(store, "a")
    await leader.leads()
    lease = store.get()
    lease["metadata"]["labels"] = {"team": "markets"}
    store.put(lease)
    await asyncio.sleep(60)
    assert leader.election.holds()
    assert store.get()["metadata"]["labels"] == {"team": "markets"}


@virtually
async def test_a_lease_that_was_deleted_is_made_again_by_its_holder_and_taken_by_nobody_else_meanwhile() -> None:
    store = Store()
    leader = Candidate(store, "a")
    await leader.leads()
    other = Candidate(store, "b")
    await asyncio.sleep(30)
    leader.link.is_cut = True
    await asyncio.sleep(1)
    store.lease = None
    await asyncio.sleep(5)
    assert store.lease is None
    leader.link.is_cut = False
    await asyncio.sleep(60)
    assert leader.election.holds()
    assert not other.election.holds()
    leader.die()
    store.lease = None
    await other.leads()
    assert leader.task.done()


@virtually
async def test_the_longer_time_of_a_holder_of_another_version_is_respected() -> None:
    store = Store()
    store.put({"metadata": {}, "spec": {"holderIdentity": "z", "leaseDurationSeconds": 40, "renewTime": "2000"}})
    candidate = Candidate(store, "a")
    assert await candidate.leads() == pytest.approx(40, abs=0.2)


@pytest.mark.parametrize("error", [None, ValueError("a bug")])
def test_the_lease_is_given_back_when_the_work_ends_by_itself(error: Exception | None) -> None:
    @virtually
    async def scenario() -> None:
        store = Store()

        async def lead() -> None:
            await asyncio.sleep(50)
            if error is not None:
                raise error

        link: Any = Link(store)
        election = Election(link, "ns", "lease", "a", clock=now)
        with contextlib.nullcontext() if error is None else pytest.raises(ValueError, match="a bug"):
            await election.run(lead)
        assert store.spec["holderIdentity"] == ""
        assert not election.holds()

    scenario()
