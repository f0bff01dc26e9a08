"""The offsets that a claim commits to the consumer group, and topics whose offsets Kafka does not report."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest
from marketstream.kafka.consumer import Consumer, Offsets
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.market.progress import Progress
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, SymbolKey, Writer
from marketstream.processor.claimer import Claimer
from marketstream.processor.committer import Committer
from marketstream.processor.holdings import Holdings
from marketstream.redis.writer import LiveWriter
from marketstream.settings import Settings

from tests.unit.processor.owners import KEY
from tests.unit.virtual import VirtualClock, seconds_until, virtually

TOPIC = "trades.simulator.btcusdt"
OTHER = "trades.simulator.ethusdt"
KEYS = {TOPIC: KEY, OTHER: SymbolKey("simulator", "ETHUSDT")}


class Servers:
    """PostgreSQL, Redis and Kafka, with the methods that a claim calls."""

    def __init__(self, stored: int, end: int) -> None:
        self._claim = Claim(1, 0, Progress(position=stored, resume_offset=min(stored, 3)))
        self._offsets = Offsets(0, end)
        self.told: list[dict[str, int]] = []
        self.unreadable: set[str] = set()

    async def claim(self, keys: dict[SymbolKey, str], _known_fences: Any) -> dict[SymbolKey, Claim]:
        return dict.fromkeys(keys, self._claim)

    async def newest_closed(self, _keys: Any) -> dict[SymbolKey, StoredCandle]:
        return {}

    async def fences(self, keys: list[SymbolKey]) -> list[int]:
        return [0] * len(keys)

    async def offsets(self, topics: Iterable[str]) -> dict[str, Offsets]:
        """Behave as the consumer's method of this name does."""
        found = dict.fromkeys(set(topics) - self.unreadable, self._offsets)
        if not found:
            raise BrokerUnavailableError("cannot read the offsets")
        return found

    def read_from(self, _topic: str, _offset: int) -> bool:
        return True

    async def commit(self, positions: dict[str, int]) -> bool:
        self.told.append(positions)
        return True


@pytest.mark.parametrize(
    ("stored", "end", "told"),
    [(7, 7, [{TOPIC: 7}]), (7, 9, [{TOPIC: 7}]), (0, 0, [{TOPIC: 0}]), (7, 5, [])],
    ids=["at its end", "behind", "nothing yet", "made anew"],
)
async def test_a_claim_commits_the_stored_offset_of_a_symbol_without_new_records(
    stored: int, end: int, told: list[dict[str, int]]
) -> None:
    servers, holdings = Servers(stored, end), Holdings()
    committer = Committer(Settings(), holdings, cast("Writer", servers))
    holdings.assign({TOPIC})
    await claimer_of(servers, holdings, committer).claim()
    assert TOPIC in holdings.owned
    for _ in range(2):
        await committer.commit_offsets_once(cast("Consumer", servers))
    assert servers.told == told


def claimer_of(servers: Servers, holdings: Holdings, committer: Committer | None = None) -> Claimer:
    writer, consumer = cast("Writer", servers), cast("Consumer", servers)
    return Claimer(
        Settings(),
        holdings,
        KEYS,
        writer=writer,
        live=cast("LiveWriter", servers),
        consumer=consumer,
        committer=committer or Committer(Settings(), holdings, writer),
    )


async def test_a_topic_without_offsets_does_not_keep_others_from_their_claim() -> None:
    servers, holdings = Servers(0, 0), Holdings()
    servers.unreadable = {TOPIC}
    claimer = claimer_of(servers, holdings)
    for topics in ({TOPIC}, {TOPIC, OTHER}):  # the group assigns the topic alone, then another one, too
        holdings.assign(topics)
        with pytest.raises(BrokerUnavailableError):
            await claimer.claim()
    assert set(holdings.owned) == {OTHER}
    servers.unreadable = set()
    await claimer.claim()
    assert set(holdings.owned) == {TOPIC, OTHER}


@virtually
async def test_topics_assigned_while_a_claim_fails_are_claimed_at_once() -> None:
    servers, holdings = Servers(0, 0), Holdings()
    servers.unreadable = {TOPIC}
    claiming = asyncio.create_task(claimer_of(servers, holdings).run())
    holdings.assign({TOPIC})
    for _ in range(20):
        await asyncio.sleep(30)
        holdings.assign({TOPIC, OTHER})
        assigned_s = VirtualClock.monotonic()
        assert await seconds_until(lambda: OTHER in holdings.owned, 60) - assigned_s < 0.1
    claiming.cancel()
    await asyncio.wait([claiming])
