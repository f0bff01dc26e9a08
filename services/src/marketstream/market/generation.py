"""Generations: stretches of time in each of which a symbol's ids form one sequence.

An exchange may begin its ids again, as a test network does after a reset, or a symbol that is listed again. An id then
means another trade than before. The log holds no mark of it, so the trades themselves must show it.
"""

from typing import Final, NamedTuple

from marketstream.market.counted import CountedIds, Run

FAR_US: Final = 10_000_000
"""µs by which the time of a trade must contradict the counted ids before it begins a new generation.

The times of an exchange run against its ids by milliseconds, and a duplicate repeats its own time, so neither comes
near it. A greater value would take more trades for duplicates when ids begin again right after the last trade. It is
not below the length of a window, so a generation closes at least one window before the next one can begin.
"""

LULL_US: Final = 60_000_000
"""Maximum µs between two trades of a flow of which some trades are missing, while a stray id lies above it."""


class GenerationBegun(NamedTuple):
    """The beginning of a generation: its number, the newest id before it, and its first trade (time in Unix µs)."""

    number: int
    newest_id: int
    first_id: int
    time_us: int


class Stored(NamedTuple):
    """The generation of the stored account, and the part of that account beside its counted ids."""

    number: int
    since_us: int
    settled_id: int
    unfillable: tuple[tuple[int, int], ...]
    begin_known: bool


def contradicts(counted: CountedIds, low: int, high: int, time_us: int, max_id_jump: int) -> bool:
    """Return True if the ids `low` to `high` cannot have been traded at `time_us` (Unix µs) in the same sequence.

    They are the newest trade by their time, and either one of them was counted long before, or a higher id was and
    they do not continue a flow of trades below a stray id.
    """
    runs = counted.runs
    index = counted.index_before(high)
    if index >= 0 and runs[index].high >= low:
        is_contradiction = time_us > runs[index].high_time + FAR_US
    elif index + 1 == len(runs) or time_us <= runs[index + 1].low_time + FAR_US:
        return False
    else:
        is_contradiction = index < 0 or not _continues(runs[index], runs[index + 1], low, time_us, max_id_jump)
    return is_contradiction and all(time_us > run.high_time for run in runs)


def _continues(below: Run, above: Run, low: int, time_us: int, max_id_jump: int) -> bool:
    """Return True if the id `low` may continue the run below it, because the run above it is a stray id."""
    if below.high_time > above.low_time:
        return True  # the flow has continued below that id before
    if above.high_time > above.low_time + FAR_US:
        return False  # the flow itself went on there
    distance = low - below.high
    if distance == 1:
        return True
    is_same_segment = distance <= max_id_jump < above.low - below.high
    return is_same_segment or (distance <= max_id_jump and time_us <= below.high_time + LULL_US)


def since(counted: CountedIds, time_us: int) -> int:
    """Return the time (Unix µs) before which trades belong to an earlier generation than one that begins at `time_us`.

    It lies before `time_us` where no trade of the ids counted until then can have that time. The trades received first
    need not be the first ones.
    """
    newest_us = max((run.high_time for run in counted), default=time_us)
    return max(time_us - FAR_US, min(time_us, newest_us + FAR_US))
