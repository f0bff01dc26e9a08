"""No commit taken from a symbol is lost, sent out of order or sent in too large a transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from marketstream.kafka.consumer import Consumer
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.writer import Committed, Numbered, SymbolKey, Writer
from marketstream.processor import committer as module
from marketstream.processor.committer import Committer
from marketstream.processor.holdings import Holdings
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings

from tests.unit.processor.owners import KEY, apply, at, heartbeat, owner, record

SYMBOLS = [SymbolKey("simulator", f"SYMBOL{number}") for number in range(5)]


class Database:
    """Keeps the commits that are sent, once it may answer."""

    def __init__(self) -> None:
        self.sent: list[dict[SymbolKey, Numbered]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failures = 0

    async def commit(self, commits: dict[SymbolKey, Numbered]) -> Committed:
        self.sent.append(commits)
        await self.may_answer.wait()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("PostgreSQL is unavailable")
        return Committed(frozenset(), {}, {})


class Group:
    """A consumer group that accepts offsets if the test says so."""

    def __init__(self) -> None:
        self.takes = True
        self.told: list[dict[str, int]] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def commit(self, positions: dict[str, int]) -> bool:
        self.told.append(positions)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.takes


def committer_of(database: Database, *owned: OwnedSymbol) -> Committer:
    holdings = Holdings()
    for symbol in owned:
        holdings.own(symbol)
    return Committer(Settings(), holdings, cast("Writer", database))


def with_candles(key: SymbolKey, number: int) -> OwnedSymbol:
    """Return a symbol with this many candles that wait for a commit."""
    owned = owner(key)
    trades = [at(window, window + 0.5) for window in range(number)]
    apply(owned, record(*trades, key=key), heartbeat(number + 2, key))
    return owned


async def test_a_commit_cancelled_in_flight_is_sent_again_before_anything_newer() -> None:
    owned, database = with_candles(KEY, 2), Database()
    committer = committer_of(database, owned)
    database.may_answer.clear()
    committing = asyncio.create_task(committer.commit(with_progress=True))
    async with asyncio.timeout(5):
        while not database.sent:  # noqa: ASYNC110  the task is known to come to it
            await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    apply(owned, record(at(2, 6.5)), heartbeat(9))
    database.may_answer.set()
    await committer.commit(with_progress=True)
    first, again, newer = (commits[KEY] for commits in database.sent)
    assert again is first
    assert (first.number, newer.number) == (1, 2)
    assert [len(numbered.commit.candles) for numbered in (first, newer)] == [2, 1]


async def test_a_part_that_fails_is_sent_again_and_those_before_it_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_CANDLES", 2)
    monkeypatch.setattr(module, "delays", lambda *_: iter([0.0, 0.0, 0.0]))
    database = Database()
    committer = committer_of(database, *(with_candles(key, 2) for key in SYMBOLS[:3]))
    database.failures = 1
    await committer.commit(with_progress=False)
    assert [list(commits) for commits in database.sent] == [[key] for key in (SYMBOLS[0], *SYMBOLS[:3])]
    assert committer.failing_since is None


async def test_more_candles_than_one_transaction_should_hold_go_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_CANDLES", 5)
    database, sizes = Database(), (2, 3, 1, 9, 4)
    owned = [with_candles(key, size) for key, size in zip(SYMBOLS, sizes, strict=True)]
    await committer_of(database, *owned).commit(with_progress=False)
    sent = [[len(numbered.commit.candles) for numbered in commits.values()] for commits in database.sent]
    assert sent == [[2, 3], [1], [9], [4]]


async def test_a_symbol_lost_meanwhile_is_not_sent_again() -> None:
    kept, lost, database = with_candles(SYMBOLS[0], 1), with_candles(SYMBOLS[1], 1), Database()
    holdings = Holdings()
    for symbol in (kept, lost):
        holdings.own(symbol)
    committer = Committer(Settings(), holdings, cast("Writer", database))
    database.may_answer.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await committer.commit(with_progress=False)
    holdings.drop(lost.topic)
    database.may_answer.set()
    await committer.commit(with_progress=False)
    assert [list(commits) for commits in database.sent] == [SYMBOLS[:2], SYMBOLS[:1]]


async def test_offsets_that_the_group_did_not_take_are_committed_again_or_replaced_by_newer_ones() -> None:
    first, second, group = with_candles(SYMBOLS[0], 1), with_candles(SYMBOLS[1], 1), Group()
    committer, consumer = committer_of(Database(), first, second), cast("Consumer", group)

    async def second_goes_on() -> None:
        apply(second, heartbeat(20, SYMBOLS[1]))
        await committer.commit(with_progress=True)

    await committer.commit(with_progress=False)
    group.takes, group.meanwhile = False, second_goes_on
    await committer.commit_offsets_once(consumer)
    group.meanwhile = None
    await committer.commit_offsets_once(consumer)
    group.takes = True
    await committer.commit_offsets_once(consumer)
    await committer.commit_offsets_once(consumer)
    latest = {first.topic: 2, second.topic: 3}
    assert group.told == [{first.topic: 2, second.topic: 2}, latest, latest]
