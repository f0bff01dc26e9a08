"""The breaker stops the writes of an object that somebody else keeps changing back."""

from marketstream_operator.cluster.breaker import MOST, REFILL_S, Breaker
from marketstream_operator.kinds import DEPLOYMENT

ONE, OTHER = ((DEPLOYMENT, "markets", name) for name in ("one", "other"))


class World:
    """A breaker, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.breaker = Breaker(lambda: self.now_s)

    def write(self, digest: str = "d", times: int = 1) -> int:
        """Try to write so many times, and return how often it was allowed."""
        allowed = 0
        for _ in range(times):
            if self.breaker.allows(ONE, digest):
                self.breaker.count(ONE, digest)
                allowed += 1
        return allowed


def test_reverts_are_stopped_and_tried_again_slowly() -> None:
    world = World()
    assert world.write(times=2 * MOST) == 1 + MOST
    assert world.breaker.has_stopped(ONE)
    world.now_s = REFILL_S
    assert not world.breaker.has_stopped(ONE)
    assert world.write(times=5) == 1
    world.now_s += MOST * REFILL_S
    assert world.write(times=2 * MOST) == MOST


def test_a_new_spec_is_written_at_once() -> None:
    world = World()
    world.write(times=2 * MOST)
    assert [world.write(digest) for digest in ("e", "f", "g") * MOST] == 3 * MOST * [1]


def test_other_objects_and_a_new_object_of_the_same_name_are_written() -> None:
    world = World()
    world.write(times=2 * MOST)
    assert world.breaker.allows(OTHER, "d")
    world.breaker.forget(ONE)
    assert world.write() == 1


def test_a_write_that_fails_is_no_revert() -> None:
    world = World()
    world.write()
    assert all(world.breaker.allows(ONE, "d") for _ in range(3 * MOST))
