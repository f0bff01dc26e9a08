"""Questions to Kafka in the background: one silent Kafka delays no other, and is left in peace."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from marketstream.kafka.errors import BrokerUnavailableError, TopicMissingError
from marketstream.settings import Settings
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.reconcile.probers import FIRST_RETRY_S, MOST_RETRY_S, PARALLEL, Answer, Probers, Question

from tests.unit.operator.reconcile.fakes import answered


class World:
    """Probers, a clock that the test moves, and the streams that were told of an answer."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.told: list[str] = []
        self.asked: list[str] = []
        self.probers = Probers(lambda key: self.told.append(key.name), lambda: self.now_s)

    def ask(
        self, stream: str, call: Callable[[], Awaitable[Any]], kafka: str = "kafka:9092", since: float = 0.0
    ) -> Answer | None:
        async def counted() -> Any:
            self.asked.append(stream)
            return await call()

        question = Question(StreamKey("markets", stream), "topics", "all", counted, ["secret-topic"])
        return self.probers.ask(question, Connection({}, {}, Settings(kafka_bootstrap=kafka), ""), 45, 10, since)

    async def answer(self, stream: str, call: Callable[[], Awaitable[Any]], kafka: str = "kafka:9092") -> Answer:
        self.ask(stream, call, kafka)
        await answered(self.probers)
        found = self.ask(stream, call, kafka)
        assert found is not None
        return found


async def fine() -> str:
    return "fine"


async def away() -> None:
    raise BrokerUnavailableError("the topics secret-topic are not ready") from OSError("no route")


async def test_an_answer_is_kept_with_its_age_and_asked_for_again_when_it_is_too_old() -> None:
    world = World()
    assert await world.answer("a", fine) == Answer("fine", None, 1000.0)
    world.now_s = 1044
    assert world.ask("a", fine) == Answer("fine", None, 1000.0)
    assert world.asked == ["a"]
    world.now_s = 1045
    assert world.ask("a", fine) == Answer("fine", None, 1000.0), "the old answer holds until the new one is there"
    await answered(world.probers)
    assert world.ask("a", fine) == Answer("fine", None, 1045.0)
    assert (world.asked, world.told) == (["a", "a"], ["a"]), "the same answer is no news"
    assert world.ask("a", fine, since=1046) is None


async def test_a_silent_kafka_delays_no_other() -> None:
    world, silence = World(), asyncio.Event()

    async def silent() -> None:
        await silence.wait()

    for number in range(3 * PARALLEL):
        assert world.ask(f"silent-{number}", silent, "silent:9092") is None
    assert world.ask("healthy", fine) is None
    for _ in range(100):
        await asyncio.sleep(0)
    assert world.told == ["healthy"]
    assert world.asked.count("healthy") == 1
    assert len(world.asked) == 1 + PARALLEL, "one Kafka is asked only a few questions at a time"
    async with world.probers:
        pass
    assert not world.probers._tasks, "cancelled"


async def test_a_kafka_that_is_away_answers_all_that_wait_and_then_rests() -> None:
    world = World()
    for number in range(10 * PARALLEL):
        world.ask(f"s{number}", away)
    await answered(world.probers)
    assert len(world.asked) <= PARALLEL
    assert len(world.told) == 10 * PARALLEL
    for number in (0, 10 * PARALLEL - 1, 10 * PARALLEL):  # the last one is new
        found = world.ask(f"s{number}", away)
        assert found is not None
        assert str(found.error) == "Kafka at kafka:9092 cannot be used: no route"
    pauses, since, at_first = list[float](), world.now_s, len(world.asked)
    for _ in range(6):
        while len(world.asked) == at_first + len(pauses):
            world.now_s += 0.5
            world.ask("s0", away)
            await answered(world.probers)
        pauses.append(world.now_s - since)
        since = world.now_s
    assert FIRST_RETRY_S / 2 <= pauses[0] <= FIRST_RETRY_S + 1
    assert MOST_RETRY_S / 2 <= pauses[-1] <= MOST_RETRY_S + 1
    world.now_s += MOST_RETRY_S
    assert (await world.answer("s0", fine)).value == "fine"
    assert (await world.answer("s1", away)).error is not None
    assert await world.answer("s2", fine, "other:9092") == Answer("fine", None, world.now_s)


async def test_a_refusal_is_asked_again_sooner_and_told_as_it_is() -> None:
    world = World()

    async def missing() -> None:
        raise TopicMissingError("there is no secret-topic")

    assert str((await world.answer("a", missing)).error) == "there is no secret-topic"
    world.now_s += 10
    assert (await world.answer("a", fine)).value == "fine"
    assert world.told == ["a", "a"]


@pytest.mark.parametrize("forgets", [True, False])
async def test_a_stream_that_is_gone_is_told_nothing(forgets: bool) -> None:
    world = World()
    world.ask("a", fine)
    if forgets:
        world.probers.forget(StreamKey("markets", "a"))
    await answered(world.probers)
    assert world.told == ([] if forgets else ["a"])
    assert bool(world.probers._kafkas) is not forgets


async def test_a_bug_in_a_question_is_no_answer() -> None:
    world = World()

    async def broken() -> None:
        raise KeyError("bug")

    world.ask("a", broken)
    await answered(world.probers)
    assert world.ask("a", fine) is None
    await answered(world.probers)
    assert world.told == ["a"]
