"""Whether trades are still heard, as the processors say in Redis. Pods can be healthy while a feed is dead."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from marketstream.redis.client import connect
from marketstream.redis.errors import LiveStoreContentError, LiveStoreError
from marketstream.redis.hashes import LiveStatus
from marketstream.redis.reader import LiveReader
from marketstream.settings import Settings
from marketstream.telemetry import logger
from redis.asyncio import Redis

from marketstream_operator.names import StreamKey

log = logger(__name__)

POLL_S: Final = 5.0
"""Seconds between reads."""

CHUNK: Final = 500
"""Symbols in one read."""

RATE_S: Final = 60.0
"""Seconds over which a rate is taken."""

AGREE: Final = 2
"""Reads in a row that must say the same before a symbol turns from fresh to stale, or back."""

BEHIND_S: Final = 40
"""Seconds by which a proof of completeness may follow the feed: a window, its grace, and the pause between answers of
the history where a market is quiet."""


class Reading(NamedTuple):
    """What is known of one symbol. Times are Unix seconds; None: nothing yet."""

    last_trade_time: float | None
    heard_until: float | None
    trades_per_second: float | None
    is_complete: bool | None
    is_fresh: bool | None
    is_quiet: bool


class Pulse:
    """One symbol that is followed. What was heard before `now_s` counts for nothing when it is only `starting`: Redis
    remembers what was heard before a pause, too."""

    def __init__(self, now_s: float, *, starting: bool) -> None:
        self._since_s = now_s
        self._starting = starting
        self._verdict: bool | None = None
        self._disagree = 0
        self._ids: deque[tuple[float, int]] = deque()
        self.reading = Reading(None, None, None, None, None, False)

    def read(self, stream: LiveStatus | None, now_s: float, max_age_s: float) -> None:
        """Takes over what Redis says of it."""
        stream = stream or LiveStatus()
        heard, traded = stream.heard_until, stream.last_trade_time
        if heard is None or (self._starting and heard < self._since_s):
            if now_s - self._since_s > max_age_s:  # before that there is nothing to judge
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
        )

    def _judge(self, is_fresh: bool) -> None:
        self._disagree = self._disagree + 1 if is_fresh != self._verdict else 0
        if self._disagree >= AGREE:
            self._verdict, self._disagree = is_fresh, 0

    def _rate(self, last_id: int | None, now_s: float) -> float | None:
        """Ids are consecutive, so their difference is a count of trades."""
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
    is_away: bool = False
    trouble: str = ""


class FreshnessMonitor:
    """Follows the symbols of all streams. `on_change` hears whose verdict has changed."""

    def __init__(self, on_change: Callable[[StreamKey], None], now_s: Callable[[], float] = time.time) -> None:
        self._on_change = on_change
        self._now_s = now_s
        self._followed: dict[StreamKey, _Followed] = {}
        self._clients: dict[str, Redis] = {}
        self._trouble: dict[str, type[LiveStoreError]] = {}
        """By URL: which kind of trouble has been logged."""

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
        """Follows these symbols of a stream from now on, and no others; the settings name the Redis. `starting`: its
        pods have not run until now, as far as its status tells."""
        before = self._followed.get(key)
        same = before is not None and (before.url, before.exchange) == (settings.redis_url, exchange)
        known = before.symbols if before is not None and same else {}
        self._followed[key] = _Followed(
            settings.redis_url,
            exchange,
            {symbol: known.get(symbol) or Pulse(self._now_s(), starting=starting or same) for symbol in symbols},
            max_age_s,
            before.verdict if before is not None and same else (),
            before.is_away if before is not None and same else False,
            before.trouble if before is not None and same else "",
        )

    def forget(self, key: StreamKey) -> None:
        """The stream is gone, or rests."""
        self._followed.pop(key, None)

    def readings(self, key: StreamKey) -> dict[str, Reading]:
        """What is known of the symbols of a stream."""
        followed = self._followed.get(key)
        return {symbol: known.reading for symbol, known in followed.symbols.items()} if followed else {}

    def is_away(self, key: StreamKey) -> bool:
        """Whether the last read of the stream's Redis told of none of its symbols."""
        return key in self._followed and self._followed[key].is_away

    def trouble(self, key: StreamKey) -> str:
        """Why the last read of the stream's Redis did not tell of all its symbols; empty when it did."""
        return self._followed[key].trouble if key in self._followed else ""

    async def run(self) -> None:
        """Reads for ever."""
        try:
            while True:
                try:
                    await self.read_once()
                except Exception:
                    log.exception("freshness could not be read; it will be read again", retry_s=POLL_S)
                await asyncio.sleep(POLL_S)
        finally:
            for client in self._clients.values():
                with contextlib.suppress(Exception):
                    await client.aclose()

    async def read_once(self) -> None:
        """Reads every Redis once, side by side."""
        urls = {followed.url for followed in self._followed.values()}
        for url in self._clients.keys() - urls:
            self._trouble.pop(url, None)
            await self._clients.pop(url).aclose()
        await asyncio.gather(*(self._read(url) for url in urls))

    async def _read(self, url: str) -> None:
        followed = {key: each for key, each in self._followed.items() if each.url == url}
        wanted = [(each, symbol) for each in followed.values() for symbol in each.symbols]
        found: Sequence[LiveStatus | LiveStoreError | None]
        try:
            found = await self._streams(url, [(each.exchange, symbol) for each, symbol in wanted])
        except LiveStoreError as error:
            found = [error] * len(wanted)
        self._log_trouble(url, [error for error in found if isinstance(error, LiveStoreError)])
        answers, now_s = iter(found), self._now_s()
        for key, each in followed.items():
            _take(each, dict(zip(each.symbols, islice(answers, len(each.symbols)), strict=True)), now_s)
            verdict = (
                each.is_away, bool(each.trouble),
                *((s.reading.is_fresh, s.reading.is_quiet) for s in each.symbols.values()),
            )  # fmt: skip
            if verdict != each.verdict:
                each.verdict = verdict
                self._on_change(key)

    async def _streams(
        self, url: str, symbols: Sequence[tuple[str, str]]
    ) -> list[LiveStatus | LiveStoreContentError | None]:
        if url not in self._clients:
            self._clients[url] = connect(Settings(redis_url=url))
        reader = LiveReader(self._clients[url])
        return [
            stream
            for start in range(0, len(symbols), CHUNK)
            for stream in await reader.each_status(symbols[start : start + CHUNK])
        ]

    def _log_trouble(self, url: str, errors: Sequence[LiveStoreError]) -> None:
        """Logs a trouble once, when it begins."""
        if not errors:
            self._trouble.pop(url, None)
        elif self._trouble.get(url) is not type(errors[0]):
            self._trouble[url] = type(errors[0])
            log.warning("Redis does not tell of every symbol", symbols=len(errors), error=str(errors[0]))


def _take(followed: _Followed, found: Mapping[str, LiveStatus | LiveStoreError | None], now_s: float) -> None:
    """Takes over what Redis says of the symbols of a stream. A symbol of which it cannot tell is one that is not heard
    of, unless it tells of none of them: then nothing is known."""
    errors = [error for error in found.values() if isinstance(error, LiveStoreError)]
    followed.trouble = str(errors[0]) if errors else ""
    followed.is_away = bool(errors) and len(errors) == len(found)
    if followed.is_away:
        return
    for symbol, stream in found.items():
        followed.symbols[symbol].read(None if isinstance(stream, LiveStoreError) else stream, now_s, followed.max_age_s)
