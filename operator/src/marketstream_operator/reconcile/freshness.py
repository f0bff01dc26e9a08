"""Freshness of the symbols, read from the live state in Redis: pods can be healthy while a feed is dead."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from marketstream.redis.client import connect
from marketstream.redis.errors import LiveStoreError, LiveStoreRefusedError
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import LiveReader
from marketstream.settings import Settings, SettingsError
from marketstream.telemetry import logger
from redis.asyncio import Redis

from marketstream_operator.names import StreamKey

log = logger(__name__)

POLL_S: Final = 5.0
"""Seconds between reads."""

CHUNK: Final = 500
"""Symbols in one read."""

RATE_S: Final = 60.0
"""Seconds over which a rate is measured."""

AGREE: Final = 2
"""Number of consecutive reads that must agree before a symbol turns from fresh to stale, or back."""

BEHIND_S: Final = 40
"""Seconds by which the proof of completeness may lag the feed.

They cover a window, its grace, and the interval between requests to the history while a market is quiet.
"""


class Reading(NamedTuple):
    """The knowledge about one symbol. Times are Unix seconds. None means not known yet."""

    last_trade_time: float | None
    heard_until: float | None
    trades_per_second: float | None
    is_complete: bool | None
    is_fresh: bool | None
    is_quiet: bool
    is_unlisted: bool = False
    """True if the exchange has answered that it does not list the symbol."""


FIRST_VERDICT: Final = Reading._fields.index("is_fresh")
"""The fields of a reading from this one on are verdicts: a change of one of them is reported at once."""


class Pulse:
    """The freshness of one symbol over time.

    While `starting`, data older than `now_s` (Unix seconds) is ignored: Redis still holds data from before a pause.
    """

    def __init__(self, now_s: float, *, starting: bool) -> None:
        self._since_s = now_s
        self._starting = starting
        self._verdict: bool | None = None
        self._disagree = 0
        self._ids: deque[tuple[float, int]] = deque()
        self.reading = Reading(None, None, None, None, None, False)

    def read(self, stream: LiveStatus | None, now_s: float, max_age_s: float) -> None:
        """Update the reading with the status in Redis, None if there is none.

        `now_s` is in Unix seconds. Older data than `max_age_s` seconds is stale.
        """
        stream = stream or LiveStatus()
        heard, traded = stream.heard_until, stream.last_trade_time
        if heard is None or (self._starting and heard < self._since_s):
            if now_s - self._since_s > max_age_s:  # too early to judge
                self._judge(False)
        else:
            self._starting = False
            self._judge(now_s - heard <= max_age_s)
        self.reading = Reading(
            traded,
            heard,
            self._rate(stream.last_trade_id, now_s),
            _is_complete(stream),
            self._verdict,
            traded is not None and now_s - traded > max_age_s,
            stream.unlisted,
        )

    def _judge(self, is_fresh: bool) -> None:
        self._disagree = self._disagree + 1 if is_fresh != self._verdict else 0
        if self._disagree >= AGREE:
            self._verdict, self._disagree = is_fresh, 0

    def _rate(self, last_id: int | None, now_s: float) -> float | None:
        """Return trades per second. Ids are consecutive, so the difference of two ids is a number of trades."""
        if last_id is None:
            return None
        ids = self._ids
        if ids and last_id < ids[-1][1]:
            ids.clear()
        ids.append((now_s, last_id))
        while len(ids) > 2 and now_s - ids[1][0] >= RATE_S:
            ids.popleft()
        (then, first), (now, last) = ids[0], ids[-1]
        return (last - first) / (now - then) if now > then else None


def _is_complete(stream: LiveStatus) -> bool | None:
    if stream.heard_until is None:
        return None
    return (
        stream.open_holes == 0
        and stream.complete_until is not None
        and stream.heard_until - stream.complete_until <= BEHIND_S
    )


class _Followed(msgspec.Struct):
    url: str
    exchange: str
    symbols: dict[str, Pulse]
    max_age_s: float
    verdict: tuple[object, ...] = ()
    is_unavailable: bool = False
    problem: str = ""


class FreshnessMonitor:
    """Reads the freshness of the symbols of all streams, and calls `on_change` for a stream whose verdict changes."""

    def __init__(self, on_change: Callable[[StreamKey], None], now_s: Callable[[], float] = time.time) -> None:
        self._on_change = on_change
        self._now_s = now_s
        self._followed: dict[StreamKey, _Followed] = {}
        self._clients: dict[str, Redis] = {}
        self._logged: dict[str, type[LiveStoreError]] = {}
        """The kind of error that has been logged for each URL."""

    def follow(
        self,
        key: StreamKey,
        settings: Settings,
        exchange: str,
        symbols: Iterable[str],
        max_age_s: float,
        *,
        starting: bool,
    ) -> None:
        """Follow these symbols of a stream from now on, and no others. `settings` name the Redis.

        `starting` is True if the pods of the stream have not run before, as far as its status tells.
        """
        before = self._followed.get(key)
        same = before is not None and (before.url, before.exchange) == (settings.redis_url, exchange)
        known = before.symbols if before is not None and same else {}
        self._followed[key] = _Followed(
            settings.redis_url,
            exchange,
            {symbol: known.get(symbol) or Pulse(self._now_s(), starting=starting or same) for symbol in symbols},
            max_age_s,
            before.verdict if before is not None and same else (),
            before.is_unavailable if before is not None and same else False,
            before.problem if before is not None and same else "",
        )

    def forget(self, key: StreamKey) -> None:
        """Stop following a stream, which was deleted or paused."""
        self._followed.pop(key, None)

    def readings(self, key: StreamKey) -> dict[str, Reading]:
        """Return the readings of the symbols of a stream; none if it is not followed."""
        followed = self._followed.get(key)
        return {symbol: known.reading for symbol, known in followed.symbols.items()} if followed else {}

    def is_unavailable(self, key: StreamKey) -> bool:
        """Return True if the last read could read none of the symbols of a stream from Redis."""
        return key in self._followed and self._followed[key].is_unavailable

    def problem(self, key: StreamKey) -> str:
        """Return the error of the last read, for some or all symbols of a stream; empty if there was none."""
        return self._followed[key].problem if key in self._followed else ""

    async def run(self) -> None:
        """Read every POLL_S seconds, until cancelled. A Redis that does not answer delays no other."""
        reading: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                urls = await self._close_unused()
                reading = {url: task for url, task in reading.items() if not task.done()}
                for url in urls - reading.keys():
                    reading[url] = asyncio.create_task(self._try_to_read(url), name="freshness of a Redis")
                await asyncio.sleep(POLL_S)
        finally:
            for task in reading.values():
                task.cancel()
            await asyncio.gather(*reading.values(), return_exceptions=True)
            for client in self._clients.values():
                with contextlib.suppress(Exception):
                    await client.aclose()

    async def read_once(self) -> None:
        """Read from every Redis once, in parallel."""
        await asyncio.gather(*(self._read(url) for url in await self._close_unused()))

    async def _try_to_read(self, url: str) -> None:
        try:
            await self._read(url)
        except Exception:
            log.exception("freshness read failed, will retry", retry_s=POLL_S)

    async def _close_unused(self) -> set[str]:
        """Close the connections to a Redis that no stream uses any more. Return the URLs that streams use."""
        urls = {followed.url for followed in self._followed.values()}
        for url in self._clients.keys() - urls:
            self._logged.pop(url, None)
            with contextlib.suppress(Exception):
                await self._clients.pop(url).aclose()
        return urls

    async def _read(self, url: str) -> None:
        followed = {key: each for key, each in self._followed.items() if each.url == url}
        wanted = [(each, symbol) for each in followed.values() for symbol in each.symbols]
        found: Sequence[LiveStatus | LiveStoreError | None]
        try:
            found = await self._streams(url, [(each.exchange, symbol) for each, symbol in wanted])
        except LiveStoreError as error:
            found = [error] * len(wanted)
        self._log_problem(url, [error for error in found if isinstance(error, LiveStoreError)])
        answers, now_s = iter(found), self._now_s()
        for key, each in followed.items():
            _take(each, dict(zip(each.symbols, islice(answers, len(each.symbols)), strict=True)), now_s)
            verdict = (
                each.is_unavailable, bool(each.problem),
                *(s.reading[FIRST_VERDICT:] for s in each.symbols.values()),
            )  # fmt: skip
            if verdict != each.verdict:
                each.verdict = verdict
                self._on_change(key)

    async def _streams(self, url: str, symbols: Sequence[tuple[str, str]]) -> list[LiveStatus | LiveStoreError | None]:
        if url not in self._clients:
            try:
                self._clients[url] = connect(Settings(redis_url=url))
            except SettingsError as error:  # of one stream: the others must be read all the same
                raise LiveStoreRefusedError(str(error)) from error
        reader = LiveReader(self._clients[url])
        return [
            stream
            for start in range(0, len(symbols), CHUNK)
            for stream in await reader.each_status(symbols[start : start + CHUNK])
        ]

    def _log_problem(self, url: str, errors: Sequence[LiveStoreError]) -> None:
        """Log a problem once, when it begins."""
        if not errors:
            self._logged.pop(url, None)
        elif self._logged.get(url) is not type(errors[0]):
            self._logged[url] = type(errors[0])
            log.warning("freshness not read, will retry", symbols=len(errors), error=str(errors[0]))


def _take(followed: _Followed, found: Mapping[str, LiveStatus | LiveStoreError | None], now_s: float) -> None:
    """Update the readings of a stream from the answers of Redis.

    A symbol that could not be read counts as one without data. If no symbol could be read, nothing is known, and the
    readings are kept.
    """
    errors = [error for error in found.values() if isinstance(error, LiveStoreError)]
    followed.problem = str(errors[0]) if errors else ""
    followed.is_unavailable = bool(errors) and len(errors) == len(found)
    if followed.is_unavailable:
        return
    for symbol, stream in found.items():
        followed.symbols[symbol].read(None if isinstance(stream, LiveStoreError) else stream, now_s, followed.max_age_s)
