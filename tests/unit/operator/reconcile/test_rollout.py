"""Turns for pairs to roll after a change of the operator's own settings."""

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT
from marketstream_operator.names import StreamKey
from marketstream_operator.reconcile.rollout import Rollout

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
    ) -> None:
        self._version += 1
        child = Deployment(
            key=key, name=f"{key.name}-{pair}-producer", uid=pair, version=self._version, pair=pair, role="producer",
            exchange="binance", symbols=(), owner_uid="o", digest="d", spec_digest="s", managed="m", replicas=1,
            generation=generation, is_settled=is_settled, is_ready=is_ready, is_stuck=is_stuck,
        )  # fmt: skip
        self.observed.see(DEPLOYMENT, child)


def test_no_more_than_there_is_room_for_and_the_next_when_one_has_settled() -> None:
    world = World()
    for pair in ("a", "b", "c"):
        world.has(MAJORS, pair)
    world.has(MINORS, "d")
    rollout = Rollout(world.observed, most=2)
    assert [rollout.may_roll(MAJORS, pair) for pair in ("a", "b", "c")] == [True, True, False]
    assert not rollout.may_roll(MINORS, "d")
    for pair in ("a", "b"):
        world.has(MAJORS, pair, is_settled=False, generation=2)
    assert rollout.settle(MAJORS) == set()
    assert rollout.may_roll(MAJORS, "a"), "a rolling pair keeps its turn until it has settled"
    world.has(MAJORS, "a", generation=2)
    assert rollout.settle(MAJORS) == {MAJORS, MINORS}
    assert [rollout.may_roll(MINORS, "d"), rollout.may_roll(MAJORS, "c")] == [True, False]


def test_a_pair_that_is_gone_leaves_its_turn_to_another() -> None:
    world = World()
    world.has(MAJORS, "a", is_settled=False)
    world.has(MINORS, "b")
    rollout = Rollout(world.observed, most=1)
    assert rollout.may_roll(MAJORS, "a")
    assert not rollout.may_roll(MINORS, "b")
    world.observed.lose(DEPLOYMENT, MAJORS.namespace, "majors-a-producer", "a")
    assert rollout.settle(MAJORS) == {MINORS}


def test_a_new_leader_counts_what_rolls_but_not_what_is_new_or_fails() -> None:
    world = World()
    world.has(MAJORS, "rolls", is_settled=False, generation=2)
    world.has(MAJORS, "new", is_settled=False, generation=1)
    world.has(MAJORS, "fails", is_settled=False, is_ready=False, generation=2)
    world.has(MAJORS, "next")
    rollout = Rollout(world.observed, most=1)
    rollout.begin()
    assert rollout.may_roll(MAJORS, "rolls")
    assert not rollout.may_roll(MAJORS, "next")
    world.has(MAJORS, "rolls", generation=2)
    assert rollout.settle(MAJORS) == {MAJORS}
    assert rollout.may_roll(MAJORS, "next")


def test_a_new_leader_does_not_count_what_is_stuck_nor_what_gets_stuck_that_rolled_before_it_came() -> None:
    """Otherwise a stream whose new version does not start would block the rolls of all others forever."""
    world = World()
    world.has(MAJORS, "stuck", is_settled=False, is_stuck=True, generation=2)
    world.has(MAJORS, "rolls", is_settled=False, generation=2)
    world.has(MINORS, "next")
    rollout = Rollout(world.observed, most=1)
    rollout.begin()
    assert not rollout.may_roll(MINORS, "next")
    assert rollout.settle(MAJORS) == set()
    world.has(MAJORS, "rolls", is_settled=False, is_stuck=True, generation=2)
    assert rollout.settle(MAJORS) == {MINORS}
    assert rollout.may_roll(MINORS, "next")


def test_a_pair_that_gets_stuck_on_its_turn_keeps_it() -> None:
    """An image that does not start spreads no further."""
    world = World()
    world.has(MAJORS, "first", is_settled=False, generation=2)
    world.has(MAJORS, "next")
    rollout = Rollout(world.observed, most=1)
    rollout.begin()
    world.has(MAJORS, "first", generation=2)
    assert rollout.settle(MAJORS) == set()
    assert rollout.may_roll(MAJORS, "first"), "a turn of its own, after the turn that was taken over"
    world.has(MAJORS, "first", is_settled=False, is_stuck=True, generation=3)
    assert not rollout.may_roll(MAJORS, "next")
    assert rollout.settle(MAJORS) == set()
    world.has(MAJORS, "first", generation=4)
    assert rollout.settle(MAJORS) == {MAJORS}
