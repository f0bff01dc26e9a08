"""A recording as an exchange, replayed at its own pace, faster, or as fast as possible."""

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
"""Maximum number of trades in one event of the feed."""

LONGEST_SPAN_US: Final = 3600 * 1_000_000
"""Maximum time between the first and the last trade of one event, in µs, at any speed of the replay."""

CLOCK_S: Final = 1.0
"""Seconds between two ClockAdvanced events while no trade is due."""

BATCH_S: Final = 0.005
"""Minimum sleep of the feed, in seconds. Trades that become due meanwhile form one event, late by at most this."""

_NAMES: Final = (re.compile(r"binance-([A-Za-z0-9]+)-"), re.compile(r"([A-Za-z0-9]+)-trades-"))


def symbol_of(path: Path, symbols: Sequence[str] = ()) -> str:
    """Return the symbol of the trades in the file.

    That is the only one of `symbols`, or the symbol in a file name such as binance-BTCUSDT-….csv or
    BTCUSDT-trades-….zip.

    Raises SettingsError if the file name has no symbol, or if `symbols` has more than one.
    """
    if len(symbols) == 1:
        return symbols[0]
    match = next(filter(None, (name.match(path.name) for name in _NAMES)), None)
    if symbols or match is None:
        raise SettingsError(
            f"a recording has the trades of one symbol, but SYMBOLS is {','.join(symbols) or 'empty'} and the file is "
            f"{path.name}: give one symbol in SYMBOLS, or name the file binance-<SYMBOL>-… or <SYMBOL>-trades-…"
        )
    return match[1].upper()


class Replay:
    """Replays one trade dump, .csv or .zip, with or without a header line, with times in ms or µs.

    The ids in the file must ascend; invalid lines are refused and counted. The file is read in blocks, never as a
    whole; `history` keeps the first id of each block (about 900 trades).
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
        # A parser of its own, so that lines refused by the feed are not counted twice.
        self._history = DumpParser(lambda *_: None, now())
        self._first_ids: list[int] = []
        self._offsets: list[int] = []

    @property
    def name(self) -> str:
        """The name under which the trades are stored."""
        return self._name

    async def check(self, symbols: Sequence[str]) -> None:
        """Raise UnknownSymbolError for any symbol but the file's, RecordingError if the file is not a trade dump."""
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
            await self._sleep(0)  # at the speed `max`, still let other tasks run
        yield ClockAdvanced(self.symbol, last_us)

    async def history(self, symbol: str, first_id: int, last_id: int, **_hints: int | None) -> Trades | None:
        """Return a page of the trades with ids from `first_id` to `last_id`, no matter how far the feed has come."""
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
        """Return the last trade of the file, as of its own time: the clock of a recording stops with that trade."""
        self._expect((symbol,))
        await self._index()
        for block in reversed(range(len(self._offsets))):  # the last blocks may have nothing but refused lines
            last = None
            for _, line, data in self._dump.blocks(self._offsets[block], _line_at(block)):
                for trades in self._history.parse(data, line):
                    last = Newest(trades.all_ids()[-1], trades.times[-1])
            if last is not None:
                return last
        return None

    async def close(self) -> None:
        """Do nothing: the file is not kept open."""

    def _expect(self, symbols: Sequence[str]) -> None:
        unknown = [symbol for symbol in symbols if symbol != self.symbol]
        if unknown:
            raise UnknownSymbolError(
                f"{self._dump.path.name} has trades of {self.symbol} only, not of {', '.join(unknown)}", unknown
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
        """Record the offset and the first id of each block, once.

        Only the first line of a block is parsed. A block whose first line is invalid is merged into the block before.
        """
        if self._first_ids:
            return
        self._dump.check(self._now())
        # A header may hide the first id of the first block, so that block covers all ids before the second block.
        first_ids, offsets = [0], [0]
        for offset, line, data in self._dump.blocks():
            trades = self._history.parse(data.partition(b"\n")[0], line)
            if offset and trades:
                first_ids.append(trades[0].first_id)
                offsets.append(offset)
            await self._sleep(0)
        self._first_ids, self._offsets = first_ids, offsets


def _due(trades: Trades, start: int, file_us: float) -> Trades:
    """Return the trades due at `file_us`, from index `start` on: at least one, at most those of one event."""
    limit_us = min(file_us, trades.times[start] + LONGEST_SPAN_US)
    most = min(start + MOST_TRADES, len(trades))
    return trades.cut(start, max(start + 1, bisect_right(trades.times, limit_us, start, most)))


def _line_at(block: int) -> int:
    """Return a line number for the parser, which only distinguishes the first line, as it may be a header."""
    return 2 if block else 1
