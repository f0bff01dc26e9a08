"""The offsets that a claim commits to the consumer group."""

from collections.abc import Iterable
from typing import Any, cast

import pytest
from marketstream.kafka.consumer import Consumer, Offsets
from marketstream.market.progress import Progress
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, SymbolKey, Writer
from marketstream.processor.claimer import Claimer
from marketstream.processor.committer import Committer
from marketstream.processor.holdings import Holdings
from marketstream.redis.writer import LiveWriter
from marketstream.settings import Settings

from tests.unit.processor.owners import KEY

TOPIC = "trades.simulator.btcusdt"


class Servers:
    """PostgreSQL, Redis and Kafka, with the methods that a claim calls."""

    def __init__(self, stored: int, end: int) -> None:
        self._claim = Claim(1, 0, Progress(position=stored, resume_offset=min(stored, 3)))
        self._offsets = Offsets(0, end)
        self.told: list[dict[str, int]] = []

    async def claim(self, keys: dict[SymbolKey, str], _known_fences: Any) -> dict[SymbolKey, Claim]:
        return dict.fromkeys(keys, self._claim)

    async def newest_closed(self, _keys: Any) -> dict[SymbolKey, StoredCandle]:
        return {}

    async def fences(self, keys: list[SymbolKey]) -> list[int]:
        return [0] * len(keys)

    async def offsets(self, topics: Iterable[str]) -> dict[str, Offsets]:
        return dict.fromkeys(topics, self._offsets)

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
    writer, consumer = cast("Writer", servers), cast("Consumer", servers)
    committer = Committer(Settings(), holdings, writer)
    holdings.assign({TOPIC})
    await Claimer(
        Settings(),
        holdings,
        {TOPIC: KEY},
        writer=writer,
        live=cast("LiveWriter", servers),
        consumer=consumer,
        committer=committer,
    ).claim()
    assert TOPIC in holdings.owned
    for _ in range(2):
        await committer.commit_offsets_once(consumer)
    assert servers.told == told
