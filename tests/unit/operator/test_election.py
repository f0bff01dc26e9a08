"""Leader election in virtual time, against a Lease in memory; tests/operator has a real API server."""

import asyncio
import contextlib
import copy
import itertools
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream_operator.api import LEASE, WRITE_S, ApiError, ConflictError, Kind, NotFoundError
from marketstream_operator.election import DURATION_S, RENEW_DEADLINE_S, RETRY_S, Election, LeaseLostError, identity

from tests.unit.backfill.virtual import seconds_until, virtually

LATENCY_S = 0.01


def now() -> float:
    return asyncio.get_running_loop().time()


class Store:
    """One Lease, as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self._versions = itertools.count(1)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return self.lease["spec"]

    def get(self) -> dict[str, Any]:
        if self.lease is None:
            raise NotFoundError("no such lease", 404)
        return copy.deepcopy(self.lease)

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        version = body["metadata"].get("resourceVersion")
        if version is None and self.lease is not None:
            raise ConflictError("exists already", 409)
        if version is not None and self.lease is None:
            raise NotFoundError("no such lease", 404)
        if version is not None and version != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified", 409)
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(next(self._versions))
        return copy.deepcopy(self.lease)


class Link:
    """One candidate's way to the store."""

    may_write: Callable[[], bool]

    def __init__(self, store: Store) -> None:
        self._store = store
        self.there_s = self.back_s = LATENCY_S
        self.is_cut = False
        """Whether no request arrives, and none is refused either."""
        self.loses_answers = False
        self.error: ApiError | None = None

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        assert (kind, namespace, name) == (LEASE, "ns", "lease")
        return await self._ask(self._store.get)

    async def write_lease(self, namespace: str, name: str, body: dict[str, Any], limit_s: float) -> dict[str, Any]:
        assert (namespace, name) == ("ns", "lease")
        assert limit_s < DURATION_S - RENEW_DEADLINE_S
        return await self._ask(lambda: self._store.put(body), lambda: self.loses_answers)

    async def _ask(
        self, request: Callable[[], dict[str, Any]], is_lost: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.there_s)
        if self.is_cut:
            await asyncio.Event().wait()
        answer = request()
        await asyncio.sleep(self.back_s)
        if is_lost():
            await asyncio.Event().wait()
        return answer


class Candidate:
    """A replica that notes when it leads."""

    def __init__(self, store: Store, name: str, clock_is: float = 0.0) -> None:
        self.name = name
        self.link = Link(store)
        loop = asyncio.get_running_loop()
        self.election = Election(
            self.link, "ns", "lease", name, rng=Random(name), clock=lambda: loop.time() + clock_is  # type: ignore[arg-type]
        )  # fmt: skip
        self.is_acting = False
        self.cleanup_s = 0.0
        self.task = asyncio.create_task(self.election.run(self._lead))

    async def _lead(self) -> None:
        assert self.election.holds()
        self.is_acting = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleanup_s)
            self.is_acting = False

    async def leads(self, limit_s: float = 60) -> float:
        """Waits until it leads; says when that was."""
        return await seconds_until(lambda: self.is_acting and self.election.holds(), limit_s)

    def die(self) -> None:
        """From now on nothing of it is heard."""
        self.link.is_cut = True

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


def test_a_write_that_is_under_way_when_the_lease_runs_out_ends_before_the_next_leader_begins() -> None:
    assert WRITE_S < DURATION_S - RENEW_DEADLINE_S


def test_no_two_processes_have_the_same_identity() -> None:
    assert identity("pod-0").startswith("pod-0_")
    assert identity("pod-0") != identity("pod-0")


@virtually
async def test_one_of_several_leads_and_only_it_may_write() -> None:
    store = Store()
    candidates = [Candidate(store, name) for name in "abc"]
    await asyncio.sleep(300)
    (leader,) = (candidate for candidate in candidates if candidate.election.holds())
    assert leader.is_acting
    assert [c.name for c in candidates if c.link.may_write()] == [leader.name]
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
        assert not link.may_write()

    scenario()


FAULTS = st.lists(
    st.tuples(
        st.floats(0.1, 12),
        st.sampled_from("abc"),
        st.sampled_from(["cut", "mend", "lose answers", "refuse", "slow", "touch", "stop"]),
    ),
    max_size=20,
)
"""After how many seconds, to whom, what happens."""
CLOCKS = {"a": 0.0, "b": -1e6, "c": 12345.678}


class Replicas:
    """Three replicas, each of which is started again when it ends; they are watched all the time."""

    def __init__(self) -> None:
        self.store = Store()
        self.replicas = {name: Candidate(self.store, name, CLOCKS[name]) for name in CLOCKS}
        self._generations = itertools.count()
        self._last: Candidate | None = None
        self._last_held = 0.0

    def happen(self, name: str, fault: str) -> None:
        replica = self.replicas[name]
        if fault == "touch" and self.store.lease is not None:
            self.store.put(self.store.get())
        elif fault == "stop":
            replica.task.cancel()
        link = replica.link
        link.is_cut, link.loses_answers = fault == "cut", fault == "lose answers"
        link.error = ApiError("refused") if fault == "refuse" else None
        link.there_s = link.back_s = 1.4 if fault == "slow" else LATENCY_S

    def holders(self) -> list[Candidate]:
        return [replica for replica in self.replicas.values() if replica.election.holds()]

    async def watch(self) -> None:
        while True:
            self._check()
            for name, replica in self.replicas.items():
                if replica.task.done():
                    with contextlib.suppress(LeaseLostError, asyncio.CancelledError):
                        replica.task.result()
                    self.replicas[name] = Candidate(self.store, f"{name}{next(self._generations)}", CLOCKS[name])
            await asyncio.sleep(0.2)

    def _check(self) -> None:
        holders = self.holders()
        assert len(holders) <= 1
        for holder in holders:
            # One that has ended its work may have given the lease back.
            if self._last not in (None, holder):
                is_safe = now() - self._last_held > WRITE_S or not self._last.is_acting
                assert is_safe, "writes of the leader before may still be under way"
            self._last, self._last_held = holder, now()


@settings(max_examples=200, deadline=None)
@given(FAULTS)
def test_whatever_happens_to_the_network_no_two_lead_and_one_does_in_the_end(
    faults: list[tuple[float, str, str]],
) -> None:
    @virtually
    async def scenario() -> None:
        replicas = Replicas()
        watching = asyncio.create_task(replicas.watch())
        for seconds, name, fault in faults:
            await asyncio.sleep(seconds)
            replicas.happen(name, fault)
        for name in CLOCKS:
            replicas.happen(name, "mend")
        await asyncio.sleep(2 * DURATION_S)
        assert len(replicas.holders()) == 1
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    scenario()
