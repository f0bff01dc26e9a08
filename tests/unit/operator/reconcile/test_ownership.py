"""The operator that serves a MarketStream, if several see it."""

from marketstream_operator.cluster.apply import OtherOperatorError
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import MarketStream, Topic
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC
from marketstream_operator.reconcile.ownership import CLAIM_S, Ownership

from tests.unit.operator.reconcile.fakes import KEY, deployment, stream

ME, OTHER = "markets/one", "elsewhere/another"


class World:
    """An Ownership, and a clock that the test moves."""

    def __init__(self) -> None:
        self.observed = Observed()
        self.now_s = 0.0
        self.ownership = Ownership(self.observed, ME, lambda: self.now_s)
        self._version = 0

    def has(self, made_by: str) -> None:
        self._version += 1
        self.observed.see(DEPLOYMENT, deployment("a", "producer", made_by=made_by, version=self._version))

    def refuses(self, claimed_by: str = "") -> str | None:
        held = self.ownership.held(seen(claimed_by))
        return None if held is None else held.message


def seen(claimed_by: str = "") -> MarketStream:
    found = stream()
    found.status["operator"] = claimed_by
    return found


def test_objects_of_another_operator_are_named_with_the_command_that_releases_them() -> None:
    world = World()
    world.has(OTHER)
    message = world.refuses()
    assert message is not None
    assert f"belong to the operator {OTHER}, not to {ME}" in message
    command = "kubectl -n markets annotate deployments -l marketstream.io/stream=majors marketstream.io/operator-"
    assert message.endswith(command)
    world.has("")
    assert world.refuses() is None, "released by that command"
    world.has(ME)
    assert world.refuses() is None


def test_a_topic_of_another_operator_counts_too() -> None:
    world = World()
    topic = Topic(KEY, "trades.simulator.aaa", "t", 1, "u", "d", "m", True, "", "", OTHER)
    world.observed.see(KAFKA_TOPIC, topic)
    assert "annotate kafkatopics -l marketstream.io/stream=majors" in (world.refuses() or "")


def test_a_claim_without_objects_ends_after_a_while() -> None:
    """The other operator may have been removed since."""
    world = World()
    assert world.refuses(ME) is None
    held = world.ownership.held(seen(OTHER))
    assert held is not None
    assert held.again_s == CLAIM_S
    world.now_s = CLAIM_S / 2
    held = world.ownership.held(seen(OTHER))
    assert held is not None
    assert held.again_s == CLAIM_S / 2
    world.now_s = CLAIM_S
    assert world.refuses(OTHER) is None


def test_a_claim_counts_from_the_time_at_which_it_was_first_seen() -> None:
    world = World()
    world.refuses(OTHER)
    world.now_s = 0.9 * CLAIM_S
    world.refuses("elsewhere/third")
    world.now_s = 1.5 * CLAIM_S
    assert world.refuses("elsewhere/third") is not None
    world.ownership.forget(KEY)
    world.now_s = 9 * CLAIM_S
    assert world.refuses("elsewhere/third") is not None, "another MarketStream of the same name"


def test_an_object_of_another_stream_is_named_alone() -> None:
    error = OtherOperatorError(KAFKA_TOPIC, "markets", "trades.simulator.aaa", OTHER)
    message = World().ownership.refused(KEY, error).message
    assert message.endswith("annotate kafkatopics trades.simulator.aaa marketstream.io/operator-")
