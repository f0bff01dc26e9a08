"""Store the processor's candles and progress: exactly once, and only for symbols that the processor owns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import asyncpg

from marketstream.market.progress import Commit, Progress
from marketstream.market.window import start_s
from marketstream.postgres.errors import ANY, READ_ONLY, StoreError, store_error
from marketstream.postgres.rows import StoredCandle, candle_row, columns, progress_of, progress_row, verdict_row
from marketstream.postgres.session import fetch, set_limits, transaction
from marketstream.postgres.statements import (
    CLAIM,
    FOLLOW,
    FOLLOWING,
    GUARD,
    JUDGE,
    LOCK,
    MERGE,
    NEWEST_CLOSED,
    PROVE_EMPTY,
    ROLL_UP,
    STORED,
)

MOST_TOLD: Final = 1_000
"""Maximum number of windows of a verdict that are reported again when the answer to its commit was lost."""


class SymbolKey(NamedTuple):
    """A symbol of an exchange."""

    exchange: str
    symbol: str


class Claim(NamedTuple):
    """The ownership of a symbol. A later claim has a higher fence, and from then on this owner's writes are refused.

    `commit_number` is the number of the last stored commit; the next commit has the number after it.
    """

    fence: int
    commit_number: int
    progress: Progress


class Numbered(NamedTuple):
    """A commit with the fence of its owner and its number, which is one above the number of the previous commit."""

    fence: int
    number: int
    commit: Commit


@dataclass(frozen=True, slots=True)
class Committed:
    """Result of a commit.

    `fenced` has the symbols that another processor now owns; nothing of them was stored. `changed` has, by symbol,
    the starts (Unix seconds) of the windows whose candles changed; `newest_closed`, the newest closed candle of each
    of these symbols.
    """

    fenced: frozenset[SymbolKey]
    changed: dict[SymbolKey, set[int]]
    newest_closed: dict[SymbolKey, StoredCandle]


class Writer:
    """The transactions of the processor.

    Every method raises StoreUnavailableError when the database is unreachable, refuses the login or accepts no writes,
    and StoreRefusedError when it refuses a statement.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def claim(
        self, topics: dict[SymbolKey, str], known_fences: Mapping[SymbolKey, int] | None = None
    ) -> dict[SymbolKey, Claim]:
        """Take ownership of the symbols, given with the topics that hold their trades.

        The new fences are also above those in `known_fences`, which another store has seen. That store may have
        outlived the database in which the fences were counted.
        """
        known = known_fences or {}
        rows = await self._fetch(
            CLAIM, *columns(topics, 2), list(topics.values()), [known.get(key, 0) for key in topics]
        )
        return {
            SymbolKey(row["exchange"], row["symbol"]): Claim(row["fence"], row["commit_number"], progress_of(row))
            for row in rows
        }

    async def newest_closed(self, keys: Iterable[SymbolKey]) -> dict[SymbolKey, StoredCandle]:
        """Return the newest closed candle of each symbol that has one."""
        return _by_key(await self._fetch(NEWEST_CLOSED, *columns(keys, 2)))

    async def commit(self, commits: dict[SymbolKey, Numbered]) -> Committed:
        """Store a commit of each symbol, all in one transaction.

        If this method raises, the commits may or may not have been stored. The same commits can be sent again: none is
        stored twice.
        """
        try:
            async with self._pool.acquire() as connection, transaction(connection):
                await set_limits(connection)
                owned, due = await _lock(connection, commits)
                await _guard(connection, {key: commits[key] for key in due})
                changed = await _store(connection, {key: commits[key].commit for key in due})
                for key in owned - due:
                    changed[key] = await _stored_windows(connection, key, commits[key].commit)
                rows = await connection.fetch(NEWEST_CLOSED, *columns(changed, 2)) if changed else []
        except ANY as error:
            raise await self._error(error) from error
        return Committed(frozenset(commits.keys() - owned), changed, _by_key(rows))

    async def _fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        try:
            async with self._pool.acquire() as connection:
                return list(await fetch(connection, statement, *arguments))
        except ANY as error:
            raise await self._error(error) from error

    async def _error(self, error: BaseException) -> StoreError:
        if isinstance(error, READ_ONLY):
            # A session stays on a server that has become a standby. A new one may find the server that accepts writes.
            await self._pool.expire_connections()
        return store_error(error)


async def _lock(connection: Any, commits: dict[SymbolKey, Numbered]) -> tuple[set[SymbolKey], set[SymbolKey]]:
    """Lock the progress of the symbols. Return the symbols that are still owned, and those of them to be stored.

    The commits of the other owned symbols are stored already, by a transaction whose answer was lost.
    """
    held = {SymbolKey(row[0], row[1]): (row[2], row[3]) for row in await connection.fetch(LOCK, *columns(commits, 2))}
    owned = {key for key in commits if key in held and held[key][0] == commits[key].fence}
    return owned, {key for key in owned if held[key][1] < commits[key].number}


async def _guard(connection: Any, commits: dict[SymbolKey, Numbered]) -> None:
    """Write the progress after the commits.

    The statement updates only rows with the expected fence and commit number, so a commit happens once. The locked
    rows have shown both already. If rows are still not found, raise StoreError, which rolls back.
    """
    rows = [progress_row(key, *numbered) for key, numbered in commits.items()]
    updated = {SymbolKey(*row) for row in await connection.fetch(GUARD, *columns(rows, 14))}
    if missing := commits.keys() - updated:
        raise StoreError(
            f"commits out of order for {sorted(missing)}: expected the number after that of the last stored commit"
        )


async def _store(connection: Any, commits: dict[SymbolKey, Commit]) -> dict[SymbolKey, set[int]]:
    """Write candles, verdicts and rollups. Return the starts of the windows whose candles changed, by symbol."""
    candles = [(key, closed) for key, commit in commits.items() for closed in commit.candles]
    verdicts = [(key, verdict) for key, commit in commits.items() for verdict in commit.verdicts]
    touched = {(*key, start_s(closed.candle.window)) for key, closed in candles}
    if candles:
        await connection.execute(MERGE, *columns((candle_row(*row) for row in candles), 18))
        if following := await connection.fetch(FOLLOWING, *columns(sorted(touched), 3)):
            await connection.execute(FOLLOW, *columns(following, 7))
            touched.update((row[0], row[1], row[2]) for row in following)
    if verdicts:
        judged = columns((verdict_row(*row) for row in verdicts), 7)
        touched.update(map(tuple, await connection.fetch(JUDGE, *judged)))
        if any(verdict.reason is None for _, verdict in verdicts):
            touched.update(map(tuple, await connection.fetch(PROVE_EMPTY, *judged)))
    keys = touched
    for interval, statement in ROLL_UP:
        keys = {(exchange, symbol, interval.start_of(start)) for exchange, symbol, start in keys}
        if keys:
            await connection.execute(statement, *columns(sorted(keys), 3))
    changed: dict[SymbolKey, set[int]] = {}
    for exchange, symbol, start in touched:
        changed.setdefault(SymbolKey(exchange, symbol), set()).add(start)
    return changed


async def _stored_windows(connection: Any, key: SymbolKey, commit: Commit) -> set[int]:
    """Return the starts of the windows that a commit stored earlier may have changed.

    Of the windows of a verdict, only the newest MOST_TOLD are included.
    """
    candidates = {start_s(closed.candle.window) for closed in commit.candles} | {
        start_s(window)
        for verdict in commit.verdicts
        for window in range(max(verdict.first, verdict.last - MOST_TOLD), verdict.last + 1)
    }
    return {row["window_start"] for row in await connection.fetch(STORED, *key, list(candidates))}


def _by_key(rows: Iterable[asyncpg.Record]) -> dict[SymbolKey, StoredCandle]:
    candles = map(StoredCandle.of, rows)
    return {SymbolKey(candle.exchange, candle.symbol): candle for candle in candles}
