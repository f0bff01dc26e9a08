"""A recording as an exchange, replayed at its own pace, faster, or as fast as possible."""

import asyncio
import re
import time
import unicodedata
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, FeedEvent, Newest, TradesReceived
from marketstream.exchanges.clock import Now, Sleep, now_us
from marketstream.exchanges.errors import RecordingError, UnknownSymbolError
from marketstream.exchanges.refusals import Refusals
from marketstream.exchanges.replay.dump import Dump
from marketstream.exchanges.replay.dump_parser import DumpParser, Part
from marketstream.exchanges.replay.layouts import SPOT
from marketstream.exchanges.replay.pace import Pace
from marketstream.exchanges.replay.sorting import SortedRows
from marketstream.exchanges.replay.strays import FAR_US, without_strays
from marketstream.market.number import rescale
from marketstream.market.trade import Trades
from marketstream.settings import SettingsError
from marketstream.telemetry import logger

log = logger(__name__)

MOST_TRADES: Final = 500
"""Maximum number of trades in one event of the feed."""

LONGEST_SPAN_US: Final = 3600 * 1_000_000
"""Maximum time between the first and the last trade of one event, in µs, at any speed of the replay."""

CLOCK_S: Final = 1.0
"""Seconds between two ClockAdvanced events while no trade is due."""

BATCH_S: Final = 0.005
"""Minimum sleep of the feed, in seconds. Trades that become due meanwhile form one event, late by at most this."""

USDM_NAME: Final = "binance-usdm"
"""The exchange under whose name trades of USD-M futures are stored."""

SPOT_NAMES: Final = ("binance",)
"""The exchanges whose names are for trades of spot only."""

ALIVE_S: Final = 1.0
"""Seconds between two signs of life of the feed while the order of a file is checked."""

_NAMES: Final = (re.compile(r"binance-(\w+)-"), re.compile(r"(\w+)-(?:agg)?trades-", re.IGNORECASE))


def symbol_of(path: Path, symbols: Sequence[str] = (), option: str = "SYMBOLS") -> str:
    """Return the symbol of the trades in the file.

    That is the only one of `symbols`, or the symbol in a file name such as binance-BTCUSDT-….csv, BTCUSDT-trades-….zip
    or BTCUSDT-aggTrades-….zip.

    Raises SettingsError, which names the `option` that gives the symbol, if the file name has no symbol, or if
    `symbols` has more than one.
    """
    if len(symbols) == 1:
        return symbols[0]
    file = unicodedata.normalize("NFC", path.name)  # macOS may decompose the letters of a file name
    match = next(filter(None, (name.match(file) for name in _NAMES)), None)
    if symbols or match is None:
        raise SettingsError(
            f"a recording has the trades of one symbol, but {option} is {','.join(symbols) or 'not given'} and the "
            f"file is {path.name}: give one symbol with {option}, or name the file <SYMBOL>-trades-… or "
            f"<SYMBOL>-aggTrades-…"
        )
    return match[1].upper()


class _Extent(NamedTuple):
    """Lines of the file, from the one with the number `line` at `offset` (bytes), and their lowest and highest ids."""

    low: int
    high: int
    offset: int
    line: int
    lines: int


class Replay:
    """Replays one trade dump of spot or USD-M futures, .csv or .zip, of trades or aggregates.

    Invalid lines are refused and counted. The file is read in blocks, never as a whole. It is read once before the
    replay: if its ids do not ascend, its rows are sorted by time and id in temporary files.
    """

    def __init__(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        name: str | None = None,
        speed: float = 1.0,
        now: Now = now_us,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._dump = Dump(path)
        self.symbol = symbol or symbol_of(path)
        self._given_name = name
        self._speed = speed
        self._now = now
        self._sleep = sleep
        self._refusals = Refusals()
        self._sorted: SortedRows | None = None
        self._extents: list[_Extent] | None = None

    @property
    def name(self) -> str:
        """The name under which the trades are stored: the given one, else `replay`, or `binance-usdm` for USD-M.

        Raises RecordingError if the file is not a trade dump, or if its trades do not belong to the given name.
        """
        is_spot = self._dump.layout.market == SPOT
        name = self._given_name or ("replay" if is_spot else USDM_NAME)
        if not is_spot and name in SPOT_NAMES:
            raise RecordingError(
                f"{self._dump.path} has {self._dump.layout.name}, which cannot be stored as {name}, the exchange of "
                f"spot trades: use --as {USDM_NAME}, or leave out --as"
            )
        if is_spot and name == USDM_NAME:
            raise RecordingError(
                f"{self._dump.path} has {self._dump.layout.name}, which cannot be stored as {name}, the exchange of "
                f"USD-M futures: use --as binance, or leave out --as"
            )
        return name

    async def check(self, symbols: Sequence[str]) -> None:
        """Raise UnknownSymbolError for any symbol but the file's, RecordingError if the file cannot be replayed."""
        self._expect(symbols)
        _ = self.name

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        """Yield the trades of the file, each when it is due, with a ClockAdvanced every second while none is due.

        The last event is a ClockAdvanced with the time of the last trade; then the feed ends.
        """
        await self.check(symbols)
        async for _ in self._prepare():
            yield ConnectionAlive()
        is_unordered = not self._dump.layout.is_ordered
        pace = Pace(self._speed, self._now)
        last_us = 0
        for trades in self._trades():
            start = 0
            while start < len(trades):
                due_us = trades.times[start]
                while (file_us := pace.time_us(due_us)) < due_us:
                    await self._sleep(min(CLOCK_S, max(BATCH_S, pace.seconds(due_us - file_us))))
                    yield ClockAdvanced(self.symbol, int(min(pace.time_us(due_us), due_us)))
                message = _due(trades, start, file_us)
                yield TradesReceived(self.symbol, message, max(message.times), self._now(), is_unordered)
                start += len(message)
            last_us = max(last_us, *trades.times)
            await self._sleep(0)  # at the speed `max`, still let other tasks run
        yield ClockAdvanced(self.symbol, last_us)

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        """Return a page of the trades with ids from `first_id` to `last_id`, however far the feed has come."""
        found: list[Trades] = []
        for extent in await self._extents_of(symbol):
            if extent.high < first_id or extent.low > last_id:
                continue
            if found and extent.low > max(max(trades.all_ids()) for trades in found):
                break
            found += (trades for trades in self._read(extent) if _within(trades, first_id, last_id))
        return _page(found, first_id, last_id) if found else None

    async def newest(self, symbol: str) -> Newest | None:
        """Return the last trade of the file, as of its own time: the clock of a recording stops with that trade."""
        for extent in reversed(await self._extents_of(symbol)):
            newest = max((trade for trades in self._read(extent) for trade in trades), default=None)
            if newest is not None:
                return Newest(newest.id + newest.n - 1, newest.time)
        return None

    async def close(self) -> None:
        """Remove the temporary files. The file itself is not kept open."""
        if self._sorted is not None:
            self._sorted.close()

    def _expect(self, symbols: Sequence[str]) -> None:
        unknown = [symbol for symbol in symbols if symbol != self.symbol]
        if unknown:
            raise UnknownSymbolError(
                f"{self._dump.path.name} has trades of {self.symbol} only, not of {', '.join(unknown)}", unknown
            )

    def _trades(self) -> Iterator[Trades]:
        if self._sorted is not None:
            yield from (part.trades for part in self._parts(self._sorted))
        else:
            yield from without_strays(self._parts(self._dump), self._refuse)

    def _parts(self, source: Dump | SortedRows) -> Iterator[Part]:
        parser = DumpParser(self._refuse, self._now(), self._dump.layout)
        for block in source.blocks():
            yield from parser.parse(block.data, block.line)

    def _refuse(self, reason: str, line: int, text: str) -> None:
        self._refusals(reason, file=self._dump.path.name, line=line, text=text[:100])

    async def _extents_of(self, symbol: str) -> list[_Extent]:
        """Return the blocks of the file, by their lowest ids."""
        self._expect((symbol,))
        async for _ in self._prepare():
            pass
        return sorted(self._extents or (), key=attrgetter("low"))

    def _read(self, extent: _Extent) -> Iterator[Trades]:
        """Yield the trades of a block. Lines that the feed refuses are not counted again."""
        parser = DumpParser(lambda *_: None, self._now(), self._dump.layout)
        end = extent.line + extent.lines
        for _, line, data in (self._sorted or self._dump).blocks(extent.offset, extent.line):
            if line >= end:
                break
            lines = data.split(b"\n")[: end - line]
            yield from (part.trades for part in parser.parse(b"\n".join(lines), line))

    async def _prepare(self) -> AsyncIterator[None]:
        """Read the whole file once, and sort its rows if their ids do not ascend; yield about once a second."""
        if self._extents is not None:
            return
        heard_at = time.monotonic()
        async for _ in self._survey():
            if time.monotonic() - heard_at >= ALIVE_S:
                heard_at = time.monotonic()
                yield

    async def _survey(self) -> AsyncIterator[None]:
        extents: list[_Extent] = []
        silent = DumpParser(lambda *_: None, self._now(), self._dump.layout)
        for extent, ascends in _extents(self._dump, silent):
            if not ascends or (extents and extent.low < extents[-1].high):
                break
            extents.append(extent)
            await self._sleep(0)
            yield
        else:
            self._extents = extents
            return
        log.warning("recording is not in order, its rows are being sorted", file=self._dump.path.name)
        rows = SortedRows()
        try:
            for part in self._parts(self._dump):
                rows.add(part.trades.times, part.trades.all_ids(), part.texts)
                await self._sleep(0)
                yield
            for _ in rows.merge():
                await self._sleep(0)
                yield
        except BaseException:
            rows.close()
            raise
        self._extents = [extent for extent, _ in _extents(rows, silent)]
        self._sorted = rows


def _extents(source: Dump | SortedRows, parser: DumpParser) -> Iterator[tuple[_Extent, bool]]:
    """Yield the blocks that have trades, and for each True if its ids ascend."""
    for offset, line, data in source.blocks():
        if ids := parser.ids(data, line):
            ordered = sorted(ids)
            lines = data.count(b"\n") + (not data.endswith(b"\n"))
            yield _Extent(ordered[0], ordered[-1], offset, line, lines), list(ids) == ordered


def _within(trades: Trades, first_id: int, last_id: int) -> bool:
    return any(first_id <= id_ <= last_id for id_ in trades.all_ids())


def _page(parts: Sequence[Trades], first_id: int, last_id: int) -> Trades:
    """Return the trades of the parts with ids from `first_id` to `last_id`, in order of their ids and at one scale."""
    scales = max(part.price_scale for part in parts), max(part.quantity_scale for part in parts)
    found = [
        trade._replace(
            price=rescale(trade.price, part.price_scale, scales[0]),
            quantity=rescale(trade.quantity, part.quantity_scale, scales[1]),
        )
        for part in parts
        for trade in part
        if first_id <= trade.id <= last_id
    ]
    return Trades.of(sorted(found), *scales)


def _due(trades: Trades, start: int, file_us: float) -> Trades:
    """Return the trades due at `file_us`, from index `start` on: at least one, at most those of one event."""
    first_us = trades.times[start]
    limit_us = min(file_us, first_us + LONGEST_SPAN_US)
    times = trades.times[start : start + MOST_TRADES]
    if times == sorted(times):
        return trades.cut(start, start + max(1, bisect_right(times, limit_us)))
    near = (place for place, time_us in enumerate(times) if not first_us - FAR_US <= time_us <= limit_us)
    return trades.cut(start, start + max(1, next(near, len(times))))
