"""The recent candles of one symbol in memory, and the open candle of every interval, computed from them."""

from collections.abc import Iterable
from typing import Final

from marketstream.api.candles import candle_of
from marketstream.api.live.messages import KEPT
from marketstream.market.rollup import Child, roll_up
from marketstream.market.window import INTERVALS, WINDOW_S, Interval
from marketstream.postgres.reader import CandleRow
from marketstream.redis.hashes import LiveCandle

_UNSETTLED: Final = 60
"""Maximum number of closed windows that are not stored yet. More mean that the processor stores nothing."""


def levels(interval: Interval) -> list[Interval]:
    """Return the interval and all shorter intervals that its candles are computed from, shortest first."""
    return [level for level in INTERVALS.values() if level.seconds <= interval.seconds]


class Ladder:
    """Candles of one symbol: the newest closed ones of the held intervals, and the open candle.

    A window that has closed is stored a moment later. Until then, the last open candle of the window stands in for it,
    so that longer candles keep its trades.
    """

    def __init__(self, exchange: str, symbol: str) -> None:
        self._exchange = exchange
        self._symbol = symbol
        self._closed: dict[str, dict[int, CandleRow]] = {}
        self._unsettled: dict[int, CandleRow] = {}
        self._open: LiveCandle | None = None

    @property
    def held(self) -> list[Interval]:
        """Intervals whose closed candles are held."""
        return [INTERVALS[name] for name in self._closed]

    def closed(self, interval: Interval) -> list[CandleRow]:
        """Return the held closed candles of an interval, oldest first."""
        return list(self._closed[interval.name].values())

    def hold(self, interval: Interval, candles: Iterable[CandleRow]) -> None:
        """Hold the closed candles of an interval from now on. `candles` are the newest of them, oldest first."""
        self._closed[interval.name] = {candle.window_start: candle for candle in candles}
        self._settle()

    def release(self, needed: Iterable[Interval]) -> None:
        """Release all candles that these intervals do not need."""
        names = {level.name for interval in needed for level in levels(interval)}
        self._closed = {name: candles for name, candles in self._closed.items() if name in names}

    def correct(self, interval: Interval, candles: Iterable[CandleRow]) -> list[CandleRow]:
        """Add closed candles. Return those that are new or corrected, oldest first."""
        known = self._closed[interval.name]
        changed = [candle for candle in candles if known.get(candle.window_start) != candle]
        known.update((candle.window_start, candle) for candle in changed)
        newest = sorted(known)[-KEPT:]
        self._closed[interval.name] = {start: known[start] for start in newest}
        self._settle()
        return changed

    def move(self, candle: LiveCandle | None) -> None:
        """Replace the open candle of ten seconds."""
        before = self._open
        if before is not None and candle is not None and before.window_start < candle.window_start:
            self._unsettled[before.window_start] = candle_of(before)
            while len(self._unsettled) > _UNSETTLED:
                del self._unsettled[next(iter(self._unsettled))]
            self._settle()
        self._open = candle

    def open_candles(self, intervals: Iterable[Interval]) -> dict[str, CandleRow]:
        """Return the open candles of these intervals, by the name of the interval; an interval may have none.

        The shorter intervals from which the candles are computed must be held.
        """
        if self._open is None:
            return {}
        made: dict[tuple[str, int], CandleRow | None] = {}
        found = {i.name: self._candle(i, i.start_of(self._open.window_start), made) for i in intervals}
        return {name: candle for name, candle in found.items() if candle is not None}

    def _candle(
        self, interval: Interval, start: int, made: dict[tuple[str, int], CandleRow | None]
    ) -> CandleRow | None:
        """Return a candle that is not stored yet. `made` keeps it for all intervals that need it."""
        key = interval.name, start
        if key not in made:
            made[key] = (
                self._ten_seconds(start) if interval.children is None else self._rolled_up(interval, start, made)
            )
        return made[key]

    def _ten_seconds(self, start: int) -> CandleRow | None:
        if self._open is not None and self._open.window_start == start:
            return candle_of(self._open)
        return self._unsettled.get(start)

    def _rolled_up(
        self, interval: Interval, start: int, made: dict[tuple[str, int], CandleRow | None]
    ) -> CandleRow | None:
        assert self._open is not None and interval.children is not None  # noqa: S101, PT018 - checked by open_candles
        shorter = INTERVALS[interval.children]
        stored = self._closed[shorter.name]
        last = self._open.window_start
        first_unsettled = min(self._unsettled, default=last)
        children: list[Child] = []
        for child_start in range(start, min(start + interval.seconds, last + 1), shorter.seconds):
            child = stored.get(child_start)
            if child is None and child_start + shorter.seconds > first_unsettled:
                child = self._candle(shorter, child_start, made)
            if child is not None:
                children.append(child)
        if not children:
            return None
        fields = roll_up(interval, start, children)._asdict()
        return candle_of(
            LiveCandle(exchange=self._exchange, symbol=self._symbol, interval=interval.name, revision=0, **fields)
        )

    def _settle(self) -> None:
        """Remove very old stand-ins, and those of windows that are now stored."""
        stored = self._closed.get("10s")
        if stored:
            newest = max(stored)
            self._unsettled = {
                start: candle
                for start, candle in self._unsettled.items()
                if start not in stored and start > newest - _UNSETTLED * WINDOW_S
            }
