"""The topics of a service at its start and afterwards, with a Kafka that does what the test says; in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError
from marketstream.kafka import usable as module
from marketstream.kafka.errors import BrokerRefusedError, BrokerUnavailableError, TopicMissingError
from marketstream.kafka.usable import MOST_RETRY_S, SETTLE_S, UsableTopics
from marketstream.settings import Settings, SettingsError

from tests.unit.virtual import VirtualClock, seconds_until, virtually

SETTINGS = Settings(kafka_bootstrap="kafka:9092", start_limit_s=60)
REFUSED, MISSING = BrokerRefusedError("Kafka refuses it"), UnknownTopicOrPartitionError("there is none")
NO_ANSWER, NO_KAFKA = KafkaTimeoutError("too slow"), KafkaConnectionError("nobody there")


class Kafka:
    """Fails for topics as `errors` says, or for all of them with `down`; the creation of some topics may hang."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.down: Exception | None = None
        self.hangs = False
        self.attempts_s: list[float] = []

    async def try_topics(
        self, _: Settings, wanted: list[str], usable: Callable[[set[str]], None]
    ) -> dict[str, Exception]:
        """Behave as the function of this name does."""
        self.attempts_s.append(VirtualClock.monotonic())
        if self.down is not None:
            raise self.down
        usable(set(wanted) - self.errors.keys())
        if self.hangs:
            await asyncio.Event().wait()
        return {topic: error for topic, error in self.errors.items() if topic in wanted}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(module, "time", VirtualClock)
    monkeypatch.setattr(module, "try_topics", kafka.try_topics)
    return kafka


@asynccontextmanager
async def begun(topics: str = "abc") -> AsyncIterator[tuple[UsableTopics, set[str]]]:
    """Begin with the topics, and yield them together with those that have joined since."""
    usable, joined = UsableTopics(SETTINGS, topics), set[str]()
    await usable.begin()
    running = asyncio.create_task(usable.run(joined.update))
    yield usable, joined
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


@virtually
async def test_usable_topics_are_tried_once(kafka: Kafka) -> None:
    async with begun() as (usable, joined):
        await asyncio.sleep(100)
        assert (usable.waiting, usable.problems(), joined) == (set(), {}, set())
    assert kafka.attempts_s == [0.0]


@pytest.mark.parametrize(("error", "at_s"), [(REFUSED, 0.0), (MISSING, SETTLE_S), (NO_ANSWER, SETTLE_S)])
@virtually
async def test_a_topic_that_cannot_be_used_waits_and_joins(kafka: Kafka, error: Exception, at_s: float) -> None:
    kafka.errors = {"b": error}
    async with begun() as (usable, joined):
        assert VirtualClock.monotonic() == pytest.approx(at_s, abs=0.01)
        assert usable.waiting == {"b"}
        await asyncio.sleep(50)
        age_s, why = usable.problems()["b"]
        assert age_s >= 50
        assert str(error) == why
        kafka.errors = {}
        await seconds_until(lambda: joined, MOST_RETRY_S + 1)
        assert (usable.waiting, usable.problems(), joined) == (set(), {}, {"b"})


@virtually
async def test_others_begin_while_the_creation_of_a_topic_hangs(kafka: Kafka) -> None:
    kafka.errors, kafka.hangs = {"b": NO_ANSWER}, True
    async with begun() as (usable, joined):
        assert VirtualClock.monotonic() == pytest.approx(SETTLE_S)
        await asyncio.sleep(10)
        assert usable.problems()["b"][0] >= 10
        kafka.hangs, kafka.errors = False, {}
        await seconds_until(lambda: joined == {"b"}, 60)


@pytest.mark.parametrize("down", [NO_KAFKA, SettingsError("KAFKA_CA_FILE is gone"), BrokerRefusedError("no address")])
@virtually
async def test_topics_are_retried_seldom_and_through_any_outage(kafka: Kafka, down: Exception) -> None:
    kafka.errors = {"b": REFUSED}
    async with begun() as (_, joined):
        await asyncio.sleep(100)
        kafka.down = down
        await asyncio.sleep(900)
        pauses = [after - before for before, after in zip(kafka.attempts_s, kafka.attempts_s[1:], strict=False)]
        assert all(MOST_RETRY_S / 2 <= pause <= MOST_RETRY_S for pause in pauses[5:])
        kafka.down, kafka.errors = None, {}
        await seconds_until(lambda: joined == {"b"}, MOST_RETRY_S + 1)


@virtually
async def test_nothing_but_refused_topics_is_an_error_at_once(kafka: Kafka) -> None:
    kafka.errors = dict.fromkeys("abc", REFUSED)
    with pytest.raises(BrokerRefusedError, match="refuses it"):
        await UsableTopics(SETTINGS, "abc").begin()
    assert len(kafka.attempts_s) == 1


@virtually
async def test_without_any_usable_topic_the_start_waits_for_one(kafka: Kafka) -> None:
    kafka.errors = {"a": REFUSED, "b": MISSING, "c": MISSING}
    usable = UsableTopics(SETTINGS, "abc")
    beginning = asyncio.create_task(usable.begin())
    await asyncio.sleep(30)
    assert not beginning.done()
    del kafka.errors["c"]
    await seconds_until(beginning.done, 6)
    assert usable.waiting == {"a", "b"}


@pytest.mark.parametrize(
    ("down", "error", "said"),
    [
        (
            NO_KAFKA,
            BrokerUnavailableError,
            "the topics a, b, c were not ready within 60 s at kafka:9092: .*nobody there",
        ),
        (None, TopicMissingError, "the topics a, b, c were not ready within 60 s at kafka:9092: .*do not exist yet: a"),
    ],
)
@virtually
async def test_after_the_limit_of_the_start_the_error_says_why(
    kafka: Kafka, down: Exception | None, error: type[Exception], said: str
) -> None:
    kafka.errors, kafka.down = dict.fromkeys("abc", MISSING), down
    with pytest.raises(error, match=said):
        await UsableTopics(SETTINGS, "abc").begin()
    assert VirtualClock.monotonic() == pytest.approx(60)


@virtually
async def test_an_invalid_address_is_an_error_at_once(kafka: Kafka) -> None:
    kafka.down = BrokerRefusedError("KAFKA_BOOTSTRAP is 'x'")
    with pytest.raises(BrokerRefusedError, match="KAFKA_BOOTSTRAP"):
        await UsableTopics(SETTINGS, "abc").begin()
