"""Turns for pairs to roll after a change of the operator's own settings."""

from collections import deque

import pytest
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import StreamKey
from marketstream_operator.reconcile.rollout import Rollout

MARK = "settings"
MAJORS, MINORS = StreamKey("markets", "majors"), StreamKey("markets", "minors")


class World:
    """The observed producers of some pairs."""

    def __init__(self) -> None:
        self.observed = Observed()
        self._version = 0

    def has(
        self,
        key: StreamKey,
        pair: str,
        *,
        is_settled: bool = True,
        is_ready: bool = True,
        is_stuck: bool = False,
        generation: int = 1,
        roll: str = "",
        is_rolling: bool | None = None,
    ) -> None:
        self._version += 1
        child = Deployment(
            key=key, name=f"{key.name}-{pair}-producer", uid=pair, version=self._version, pair=pair, role="producer",
            exchange="binance", symbols=(), owner_uid="o", digest="d", spec_digest="s", managed="m", replicas=1,
            generation=generation, is_settled=is_settled, is_ready=is_ready, is_stuck=is_stuck,
            roll=roll, is_rolling=not is_settled if is_rolling is None else is_rolling,
        )  # fmt: skip
        self.observed.see(DEPLOYMENT, child)


def test_no_more_than_there_is_room_for_and_the_next_when_one_has_settled() -> None:
    world = World()
    for pair in ("a", "b", "c"):
        world.has(MAJORS, pair)
    world.has(MINORS, "d")
    rollout = Rollout(world.observed, 2, MARK)
    assert [rollout.may_roll(MAJORS, pair) for pair in ("a", "b", "c")] == [True, True, False]
    assert not rollout.may_roll(MINORS, "d")
    for pair in ("a", "b"):
        world.has(MAJORS, pair, is_settled=False, generation=2)
    assert rollout.next(MAJORS) == []
    assert rollout.may_roll(MAJORS, "a"), "a rolling pair keeps its turn until it has settled"
    world.has(MAJORS, "a", generation=2)
    assert rollout.next(MAJORS) == [MAJORS]
    assert rollout.next(MINORS) == [], "the free turn is meant for the other"
    assert [rollout.may_roll(MINORS, "d"), rollout.may_roll(MAJORS, "c")] == [True, False]


def test_a_pair_that_is_gone_leaves_its_turn_to_another() -> None:
    world = World()
    world.has(MAJORS, "a", is_settled=False)
    world.has(MINORS, "b")
    rollout = Rollout(world.observed, 1, MARK)
    assert rollout.may_roll(MAJORS, "a")
    assert not rollout.may_roll(MINORS, "b")
    world.observed.lose(DEPLOYMENT, MAJORS.namespace, "majors-a-producer", "a")
    assert rollout.next(MAJORS) == [MINORS]


def test_a_new_leader_counts_what_rolls_but_not_what_is_new_or_fails() -> None:
    world = World()
    world.has(MAJORS, "rolls", is_settled=False, generation=2)
    world.has(MAJORS, "new", is_settled=False, generation=1)
    world.has(MAJORS, "fails", is_settled=False, is_ready=False, generation=2)
    world.has(MAJORS, "next")
    rollout = Rollout(world.observed, 1, MARK)
    rollout.begin()
    assert rollout.may_roll(MAJORS, "rolls")
    assert not rollout.may_roll(MAJORS, "next")
    world.has(MAJORS, "rolls", generation=2)
    assert rollout.next(MAJORS) == [MAJORS]
    assert rollout.may_roll(MAJORS, "next")


def test_a_new_leader_does_not_count_what_is_stuck_nor_what_gets_stuck_that_rolled_before_it_came() -> None:
    """Otherwise a stream whose new version does not start would block the rolls of all others forever."""
    world = World()
    world.has(MAJORS, "stuck", is_settled=False, is_stuck=True, generation=2)
    world.has(MAJORS, "rolls", is_settled=False, generation=2)
    world.has(MINORS, "next")
    rollout = Rollout(world.observed, 1, MARK)
    rollout.begin()
    assert not rollout.may_roll(MINORS, "next")
    assert rollout.next(MAJORS) == []
    world.has(MAJORS, "rolls", is_settled=False, is_stuck=True, generation=2)
    assert rollout.next(MAJORS) == [MINORS]
    assert rollout.may_roll(MINORS, "next")


def test_a_pair_that_gets_stuck_on_its_turn_keeps_it() -> None:
    """An image that does not start spreads no further."""
    world = World()
    world.has(MAJORS, "first", is_settled=False, generation=2)
    world.has(MAJORS, "next")
    rollout = Rollout(world.observed, 1, MARK)
    rollout.begin()
    world.has(MAJORS, "first", generation=2)
    assert rollout.next(MAJORS) == []
    assert rollout.may_roll(MAJORS, "first"), "a turn of its own, after the turn that was taken over"
    world.has(MAJORS, "first", is_settled=False, is_stuck=True, generation=3)
    assert not rollout.may_roll(MAJORS, "next")
    assert rollout.next(MAJORS) == []
    world.has(MAJORS, "first", generation=4)
    assert rollout.next(MAJORS) == [MAJORS]


def test_a_new_leader_counts_what_got_stuck_with_the_present_settings() -> None:
    """Otherwise a broken image would come further at each change of the leader."""
    world = World()
    world.has(MAJORS, "broken", is_settled=False, is_stuck=True, generation=2, roll=MARK)
    world.has(MAJORS, "dead", is_settled=False, is_ready=False, is_rolling=False, generation=2, roll=MARK)
    world.has(MAJORS, "older", is_settled=False, is_stuck=True, generation=2, roll="other settings")
    world.has(MINORS, "next")
    for _ in range(3):
        rollout = Rollout(world.observed, 1, MARK)
        rollout.begin()
        assert not rollout.may_roll(MINORS, "next")
        assert rollout.next(MAJORS) == []
    rollout = Rollout(world.observed, 1, "corrected settings")
    rollout.begin()
    assert rollout.may_roll(MINORS, "next")


def test_only_a_pair_with_a_turn_of_its_own_is_marked() -> None:
    world = World()
    world.has(MAJORS, "before", is_settled=False, generation=2)
    world.has(MAJORS, "now")
    rollout = Rollout(world.observed, 2, MARK)
    rollout.begin()
    assert rollout.may_roll(MAJORS, "now")
    assert [rollout.mark(MAJORS, pair) for pair in ("before", "now", "none")] == ["", MARK, ""]


@pytest.mark.parametrize("most", [1, 10])
def test_a_roll_of_many_streams_calls_each_of_them_once_or_twice(most: int) -> None:
    """They are reconciled one after the other, as a queue would, and each pair settles at once."""
    world = World()
    keys = [StreamKey("markets", f"s{number}") for number in range(200)]
    for key in keys:
        world.has(key, key.name)
    rollout, reconciles, rolled = Rollout(world.observed, most, MARK), 0, set[StreamKey]()
    queue, rolling = deque(keys), deque[StreamKey]()
    while queue or rolling:
        if not queue:
            settled = rolling.popleft()
            world.has(settled, settled.name, generation=2)
            queue.append(settled)
        key = queue.popleft()
        reconciles += 1
        rollout.release(key)
        if key not in rolled and rollout.may_roll(key, key.name):
            rolled.add(key)
            rolling.append(key)
            world.has(key, key.name, is_settled=False, generation=2)
        queue.extend(rollout.next(key))
    assert rolled == set(keys)
    assert reconciles <= 3 * len(keys)
