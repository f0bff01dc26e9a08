"""The progress of a symbol, and the commit that stores it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from marketstream.market.candle import Candle
from marketstream.market.counted import Run
from marketstream.market.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a symbol. It covers closed windows and their corrections only.

    Open windows are built again by reading the topic from `resume_offset`. `position` is the offset after the last
    record applied. Windows numbered below `closed_until` are closed. `counted` holds the counted ids, `unfillable` the
    ids (first, last) of holes given up. Ids up to `settled_id` are no longer accounted for. All of these ids belong to
    the generation with the number `generation`, and trades from before `since_us` (Unix µs) to earlier ones.
    `begin_known` is True if the beginning of the lowest run was reached, or never will be.
    """

    resume_offset: int = 0
    position: int = 0
    closed_until: int = 0
    counted: tuple[Run, ...] = ()
    unfillable: tuple[tuple[int, int], ...] = ()
    settled_id: int = -1
    generation: int = 0
    since_us: int = 0
    begin_known: bool = False


class ClosedCandle(NamedTuple):
    """A candle to store: that of a newly closed window, or late trades as a correction of one closed before.

    `reason` says why the window is not complete; it is None if the window is complete.
    """

    candle: Candle
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The changes that one transaction stores for a symbol.

    They are candles, verdicts on closed windows, and the progress that holds once both are stored.
    """

    candles: list[ClosedCandle] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    progress: Progress
