"""Leader election under arbitrary network faults, in virtual time: never two leaders, and one in the end."""

import asyncio
import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from marketstream_operator.kube.api import WRITE_S, ApiError
from marketstream_operator.kube.election import DURATION_S, LeaseLostError

from tests.unit.operator.kube.leases import LATENCY_S, Candidate, Store, now
from tests.unit.virtual import virtually

FAULTS = st.lists(
    st.tuples(
        st.floats(0.1, 12),
        st.sampled_from("abc"),
        st.sampled_from(["cut", "mend", "lose answers", "refuse", "slow", "touch", "stop"]),
    ),
    max_size=20,
)
"""Faults: seconds after the last one, replica, and kind."""
CLOCKS = {"a": 0.0, "b": -1e6, "c": 12345.678}


class Replicas:
    """Three replicas, which are restarted when they end and watched all the time."""

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
            # A leader that has ended its work may have released the lease.
            if self._last not in (None, holder):
                is_safe = now() - self._last_held > WRITE_S or not self._last.is_acting
                assert is_safe, "writes of the previous leader may still be under way"
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
