"""Changed windows are published until a write succeeds."""

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any, cast

import pytest
from marketstream.kafka.consumer import Consumer, Offsets
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.postgres.writer import SymbolKey
from marketstream.processor import publisher as module
from marketstream.processor.holdings import Holdings
from marketstream.processor.publisher import GATE_RETRY_S, REFRESH_S, LivePublisher
from marketstream.processor.symbol import OwnedSymbol
from marketstream.redis.errors import LiveStoreUnavailableError
from marketstream.redis.frames import Frame
from marketstream.redis.writer import LiveState, LiveWriter, Outcome
from marketstream.settings import Settings

from tests.unit.processor.owners import KEY, apply, at, owner, record
from tests.unit.virtual import VirtualClock, virtually


class Redis:
    """Answers each write with the next outcome, is unavailable at None, and answers claims with `claimed`."""

    def __init__(self, *outcomes: Outcome | None, claimed: Outcome = "ok") -> None:
        self._outcomes = iter(outcomes)
        self._claimed: Outcome = claimed
        self.frames: list[Frame] = []
        self.claims = 0

    async def claim(self, fences: dict[tuple[str, str], int]) -> dict[tuple[str, str], Outcome]:
        self.claims += 1
        return dict.fromkeys(fences, self._claimed)

    async def write(
        self, states: dict[tuple[str, str], tuple[int, LiveState, Frame]]
    ) -> dict[tuple[str, str], Outcome]:
        self.frames += [frame for _, _, frame in states.values()]
        outcome = next(self._outcomes)
        if outcome is None:
            raise LiveStoreUnavailableError("Redis is unavailable")
        return dict.fromkeys(states, outcome)


class Kafka:
    """Topics with `end` records. Answers take `answer_s` seconds, and lack the topics in `unreadable`."""

    def __init__(self) -> None:
        self.unreadable: set[str] = set()
        self.end = 0
        self.answer_s = 0.0

    async def offsets(self, topics: Iterable[str]) -> dict[str, Offsets]:
        await asyncio.sleep(self.answer_s)
        found = {topic: Offsets(0, self.end) for topic in topics if topic not in self.unreadable}
        if not found:
            raise BrokerUnavailableError("cannot read the offsets")
        return found

    def lag(self, *_: Any) -> int:
        return 0


def publisher_of(
    owned: OwnedSymbol, redis: Redis, holdings: Holdings | None = None, kafka: Kafka | None = None
) -> LivePublisher:
    holdings = holdings or Holdings()
    holdings.own(owned)
    return LivePublisher(
        Settings(kafka_session_timeout_ms=10), holdings, cast("LiveWriter", redis), cast("Consumer", kafka or Kafka())
    )


async def test_changed_windows_survive_a_failed_write_and_are_published_once() -> None:
    owned, redis = owner(), Redis(None, "lost", "ok", "ok")
    apply(owned, record(at(1, 0.5)))
    publisher = publisher_of(owned, redis)
    owned.changed |= {10, 30}
    with pytest.raises(LiveStoreUnavailableError):
        await publisher.publish()
    owned.changed |= {20}
    await publisher.publish()
    assert redis.claims == 1
    await publisher.publish()
    assert redis.claims == 2, "what Redis has lost is claimed again"
    apply(owned, record(at(2, 0.6)))
    await publisher.publish()
    assert [frame.changed for frame in redis.frames] == [[10, 30], [10, 20, 30], [10, 20, 30], []]


async def test_changes_during_a_write_are_published_in_the_next_frame() -> None:
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
    with pytest.raises(LiveStoreUnavailableError):
        await publisher.publish()
    for trade_id in (2, 3):
        apply(owned, record(at(trade_id, 0.5 + trade_id / 10)))
        await publisher.publish()
    assert [frame.changed for frame in redis.frames] == [[10], [10, 40], [40]]
    assert {frame.symbol for frame in redis.frames} == {KEY.symbol}


@pytest.mark.parametrize("redis", [Redis("fenced"), Redis(claimed="fenced")], ids=["at a write", "at the claim"])
async def test_a_symbol_with_a_higher_fence_in_redis_is_claimed_again_if_it_is_still_owned(redis: Redis) -> None:
    """Redis holds a fence from before the database was restored from a backup."""
    owned, holdings = owner(), Holdings()
    apply(owned, record(at(1, 0.5)))
    publisher = publisher_of(owned, redis, holdings)
    for _ in range(2):
        await publisher.publish()
    assert holdings.owned == {owned.topic: owned}, "what is stored does not wait for Redis"
    await asyncio.wait_for(holdings.wants_claim.wait(), 5)
    assert (holdings.unclaimed, holdings.owned) == ({owned.topic}, {})
    assert redis.claims == 1


async def test_a_symbol_with_a_higher_fence_in_redis_is_left_alone_if_it_is_revoked() -> None:
    owned, holdings = owner(), Holdings()
    apply(owned, record(at(1, 0.5)))
    await publisher_of(owned, Redis("fenced"), holdings).publish()
    holdings.revoke({owned.topic})
    await asyncio.sleep(0.1)
    assert not holdings.unclaimed


async def test_a_symbol_whose_key_is_not_ours_is_tried_again_at_every_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    owned, redis = owner(), Redis("foreign", "ok")
    apply(owned, record(at(1, 0.5)))
    publisher = publisher_of(owned, redis)
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    for _ in range(3):
        await publisher.publish()
    assert len(redis.frames) == 1
    now += REFRESH_S
    await publisher.publish()
    assert (len(redis.frames), redis.claims) == (2, 1)


@pytest.mark.parametrize("answer_s", [0.0, 10.0], ids=["at once", "slowly"])
@virtually
async def test_a_topic_without_offsets_delays_its_own_symbol_only(
    monkeypatch: pytest.MonkeyPatch, answer_s: float
) -> None:
    monkeypatch.setattr(module, "time", VirtualClock)
    key = SymbolKey("simulator", "ETHUSDT")
    well, new, ill = owner(), owner(SymbolKey("simulator", "SOLUSDT")), owner(key)
    for owned in (well, new, ill):
        apply(owned, record(at(1, 0.5), key=owned.key))
    redis, kafka, holdings = Redis(*itertools.repeat("ok", 10_000)), Kafka(), Holdings()
    publishing = asyncio.create_task(publisher_of(well, redis, holdings, kafka).run())
    await asyncio.sleep(1)
    kafka.unreadable, kafka.answer_s = {ill.topic}, answer_s
    holdings.own(ill)
    holdings.own(new)
    for step in range(30):
        redis.frames.clear()
        await asyncio.sleep(REFRESH_S + 1)
        assert not publishing.done()
        names = {frame.symbol for frame in redis.frames}
        assert names == ({well.symbol} if step * (REFRESH_S + 1) < answer_s else {well.symbol, new.symbol})
    kafka.unreadable = set()
    redis.frames.clear()
    await asyncio.sleep(GATE_RETRY_S + 2 * answer_s + 1)
    assert {frame.symbol for frame in redis.frames} == {well.symbol, new.symbol, ill.symbol}
    publishing.cancel()
    await asyncio.wait([publishing])


@virtually
async def test_a_recreated_topic_is_not_shown_before_kafka_has_said_where_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "time", VirtualClock)
    owned, redis, kafka = owner(), Redis(*itertools.repeat("ok", 10_000)), Kafka()
    apply(owned, record(at(1, 0.5)), record(at(2, 0.6)))
    publishing = asyncio.create_task(publisher_of(owned, redis, kafka=kafka).run())
    await asyncio.sleep(1)
    assert redis.frames
    kafka.end, kafka.answer_s = 2, 10
    apply(owned, record(at(1, 0.5)), offset=0)
    redis.frames.clear()
    await asyncio.sleep(20)
    assert redis.frames == []
    apply(owned, record(at(2, 0.6)))
    await asyncio.sleep(1)
    assert redis.frames
    publishing.cancel()
    await asyncio.wait([publishing])
