"""What is known of a symbol after a commit, and what a commit changes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from marketstream.market.candle import Candle
from marketstream.market.counted import Run
from marketstream.market.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a symbol has come. Describes closed windows and their corrections only: open windows are built again
    by reading from `resume_offset`.

    `position` is the offset after the last record applied; windows numbered below `closed_until` are closed;
    `unfillable` holds the ids (first, last) of holes given up; ids up to `settled_id` are no longer accounted for.
    """

    resume_offset: int = 0
    position: int = 0
    closed_until: int = 0
    counted: tuple[Run, ...] = ()
    unfillable: tuple[tuple[int, int], ...] = ()
    settled_id: int = -1


class ClosedCandle(NamedTuple):
    """A candle to store: a new window's, or the trades that came late for a closed one. `reason` says why the
    window is not complete; None when it is."""

    candle: Candle
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What one transaction stores for a symbol: candles, then verdicts on closed windows, then the progress that
    holds once they are stored."""

    candles: list[ClosedCandle] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    progress: Progress
