"""Which windows have changed is told until it is heard."""

from collections.abc import Iterable
from typing import Any, cast

import pytest
from marketstream.cache.errors import CacheUnavailableError
from marketstream.cache.frames import Frame
from marketstream.cache.writer import LiveState, LiveWriter, Outcome
from marketstream.processor.holdings import Holdings
from marketstream.processor.publisher import LivePublisher
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings
from marketstream.streams.consumer import Consumer, Offsets

from tests.unit.processor.owners import KEY, apply, at, owner, record


class Redis:
    """Answers each write with the next of these; without one, it is away."""

    def __init__(self, *outcomes: Outcome | None) -> None:
        self._outcomes = iter(outcomes)
        self.frames: list[Frame] = []
        self.claims = 0

    async def claim(self, fences: dict[tuple[str, str], int]) -> dict[tuple[str, str], Outcome]:
        self.claims += 1
        return dict.fromkeys(fences, "ok")

    async def write(
        self, states: dict[tuple[str, str], tuple[int, LiveState, Frame]]
    ) -> dict[tuple[str, str], Outcome]:
        self.frames += [frame for _, _, frame in states.values()]
        outcome = next(self._outcomes)
        if outcome is None:
            raise CacheUnavailableError("Redis is away")
        return dict.fromkeys(states, outcome)


class Kafka:
    """A topic that is read up."""

    async def offsets(self, topics: Iterable[str]) -> dict[str, Offsets]:
        return {topic: Offsets(0, 0) for topic in topics}

    def lag(self, *_: Any) -> int:
        return 0


def publisher_of(owned: OwnedSymbol, redis: Redis) -> LivePublisher:
    holdings = Holdings()
    holdings.own(owned)
    return LivePublisher(Settings(), holdings, cast("LiveWriter", redis), cast("Consumer", Kafka()))


async def test_changed_windows_survive_what_was_not_written_and_are_told_once() -> None:
    owned, redis = owner(), Redis(None, "lost", "ok", "ok")
    apply(owned, record(at(1, 0.5)))
    publisher = publisher_of(owned, redis)
    owned.changed |= {10, 30}
    with pytest.raises(CacheUnavailableError):
        await publisher.publish()
    owned.changed |= {20}
    await publisher.publish()
    assert redis.claims == 1
    await publisher.publish()
    assert redis.claims == 2, "what Redis has lost is claimed again"
    apply(owned, record(at(2, 0.6)))
    await publisher.publish()
    assert [frame.changed for frame in redis.frames] == [[10, 30], [10, 20, 30], [10, 20, 30], []]


async def test_what_changes_while_a_write_is_on_its_way_is_told_in_the_next_frame() -> None:
    owned = owner()
    apply(owned, record(at(1, 0.5)))

    class Slow(Redis):
        async def write(
            self, states: dict[tuple[str, str], tuple[int, LiveState, Frame]]
        ) -> dict[tuple[str, str], Outcome]:
            owned.changed.add(40)
            return await super().write(states)

    redis = Slow(None, "ok", "ok")
    publisher = publisher_of(owned, redis)
    owned.changed.add(10)
    with pytest.raises(CacheUnavailableError):
        await publisher.publish()
    for trade_id in (2, 3):
        apply(owned, record(at(trade_id, 0.5 + trade_id / 10)))
        await publisher.publish()
    assert [frame.changed for frame in redis.frames] == [[10], [10, 40], [40]]
    assert {frame.symbol for frame in redis.frames} == {KEY.symbol}
