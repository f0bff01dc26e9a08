"""A recording as an exchange: Binance's public trade dumps, at their own pace, faster, or as fast as possible."""

import asyncio
import re
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Final

from marketstream.exchanges.base import ClockAdvanced, Newest, TradesReceived
from marketstream.exchanges.clock import Now, Sleep, now_us
from marketstream.exchanges.errors import UnknownSymbolError
from marketstream.exchanges.refusals import Refusals
from marketstream.exchanges.replay.dump import Dump
from marketstream.exchanges.replay.dump_parser import DumpParser
from marketstream.exchanges.replay.pace import Pace
from marketstream.market.trade import Trades
from marketstream.settings import SettingsError

MOST_TRADES: Final = 500
"""Most trades in one message of the feed."""

LONGEST_SPAN_US: Final = 3600 * 1_000_000
"""Most time, in µs, between the first and the last trade of one message, however fast the replay."""

CLOCK_S: Final = 1.0
"""Seconds between two ClockAdvanced events while no trade is due."""

BATCH_S: Final = 0.005
"""Least seconds that the feed sleeps: what comes due meanwhile is one message, and a trade is late by no more."""

_NAMES: Final = (re.compile(r"binance-([A-Za-z0-9]+)-"), re.compile(r"([A-Za-z0-9]+)-trades-"))


def symbol_of(path: Path, symbols: Sequence[str] = ()) -> str:
    """The symbol whose trades the file holds: the one that is given, or that of a file name such as
    binance-BTCUSDT-….csv or BTCUSDT-trades-….zip.

    Raises SettingsError when there is none, or more than one is given.
    """
    if len(symbols) == 1:
        return symbols[0]
    match = next(filter(None, (name.match(path.name) for name in _NAMES)), None)
    if symbols or match is None:
        raise SettingsError(
            f"a recording holds the trades of one symbol, but SYMBOLS is {','.join(symbols) or 'empty'} and the file "
            f"is {path.name}: give the one symbol in SYMBOLS, or name the file binance-<SYMBOL>-… or <SYMBOL>-trades-…"
        )
    return match[1].upper()


class Replay:
    """Plays one dump, .csv or .zip, with or without header line, its times in ms or µs (found by their magnitude, for
    the file as a whole). Ids in the file must ascend; lines that are no trade are refused and counted.

    The file is read in blocks, never as a whole; `history` keeps the first id of each block (about 900 trades).
    """

    def __init__(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        name: str = "replay",
        speed: float = 1.0,
        now: Now = now_us,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._dump = Dump(path)
        self.symbol = symbol or symbol_of(path)
        self._name = name
        self._speed = speed
        self._now = now
        self._sleep = sleep
        # Its own parser: what the feed has refused is not counted again.
        self._history = DumpParser(lambda *_: None, now())
        self._first_ids: list[int] = []
        self._offsets: list[int] = []

    @property
    def name(self) -> str:
        """Under which name the trades are stored."""
        return self._name

    async def check(self, symbols: Sequence[str]) -> None:
        """Raises UnknownSymbolError for any but the file's symbol, RecordingError for a file that is no dump."""
        self._expect(symbols)
        self._dump.check(self._now())

    async def feed(self, symbols: Sequence[str]) -> AsyncGenerator[TradesReceived | ClockAdvanced, None]:
        """Yield the trades of the file, each when it is due, with a ClockAdvanced every second while none is due.

        The last event is a ClockAdvanced with the time of the last trade; then the feed ends.
        """
        await self.check(symbols)
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
                yield TradesReceived(self.symbol, message, max(message.times), self._now())
                start += len(message)
            last_us = max(last_us, *trades.times)
            await self._sleep(0)  # as fast as possible still lets others run
        yield ClockAdvanced(self.symbol, last_us)

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        """A page of the file's trades with ids from `first_id` to `last_id`, whatever the feed has come to."""
        self._expect((symbol,))
        await self._index()
        block = max(0, bisect_right(self._first_ids, first_id) - 1)
        for _, line, data in self._dump.blocks(self._offsets[block], _line_at(block)):
            for trades in self._history.parse(data, line):
                ids = trades.all_ids()
                start, stop = bisect_left(ids, first_id), bisect_right(ids, last_id)
                if start < stop:
                    return trades.cut(start, stop)
                if ids[0] > last_id:
                    return None
        return None

    async def newest(self, symbol: str) -> Newest | None:
        """The last trade of the file, as of its own time: the clock of a recording stops with it."""
        self._expect((symbol,))
        await self._index()
        for block in reversed(range(len(self._offsets))):  # the last ones may hold nothing but refused lines
            last = None
            for _, line, data in self._dump.blocks(self._offsets[block], _line_at(block)):
                for trades in self._history.parse(data, line):
                    last = Newest(trades.all_ids()[-1], trades.times[-1])
            if last is not None:
                return last
        return None

    async def close(self) -> None:
        """Nothing is held open."""

    def _expect(self, symbols: Sequence[str]) -> None:
        unknown = [symbol for symbol in symbols if symbol != self.symbol]
        if unknown:
            raise UnknownSymbolError(
                f"{self._dump.path.name} holds trades of {self.symbol} only, not of {', '.join(unknown)}"
            )

    def _trades(self) -> Iterator[Trades]:
        refusals = Refusals()
        file = self._dump.path.name
        parser = DumpParser(
            lambda reason, line, text: refusals(reason, file=file, line=line, text=text[:100]), self._now()
        )
        for block in self._dump.blocks():
            yield from parser.parse(block.data, block.line)

    async def _index(self) -> None:
        """Learns where each block begins and its first id, once. Only the first line of a block is parsed; a block
        whose first line is no trade belongs to the one before."""
        if self._first_ids:
            return
        self._dump.check(self._now())
        first_ids, offsets = [0], [0]  # a header may hide the first block's id: it holds whatever comes before the next
        for offset, line, data in self._dump.blocks():
            trades = self._history.parse(data.partition(b"\n")[0], line)
            if offset and trades:
                first_ids.append(trades[0].first_id)
                offsets.append(offset)
            await self._sleep(0)
        self._first_ids, self._offsets = first_ids, offsets


def _due(trades: Trades, start: int, file_us: float) -> Trades:
    """What is due at `file_us` from index `start` on: at least that entry, at most what one message may hold."""
    limit_us = min(file_us, trades.times[start] + LONGEST_SPAN_US)
    most = min(start + MOST_TRADES, len(trades))
    return trades.cut(start, max(start + 1, bisect_right(trades.times, limit_us, start, most)))


def _line_at(block: int) -> int:
    """A line number for the parser, which only needs to know whether a line is the file's first, perhaps a header."""
    return 2 if block else 1
