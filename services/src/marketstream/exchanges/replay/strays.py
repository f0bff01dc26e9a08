"""Rows whose time contradicts the rows before and after them. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from marketstream.exchanges.replay.dump_parser import Part, Refuse
from marketstream.market.trade import Trades

FAR_US: Final = 3600 * 1_000_000
"""Maximum µs by which the times of a file may differ from the order of its ids."""


def without_strays(parts: Iterable[Part], refuse: Refuse) -> Iterator[Trades]:
    """Yield the trades of `parts`, and refuse those whose time is far from that of their neighbours.

    One such time in the future would close all windows before it, and one in the past would open a window again. The
    rows before and after a stray agree with each other, so a part is yielded once the next one is known.
    """
    last_us: int | None = None
    current: Part | None = None
    for following in chain(parts, (None,)):
        if current is not None:
            after = following.trades.times if following is not None else []
            for trades in _steady(current, last_us, after, refuse):
                last_us = trades.times[-1]
                yield trades
        current = following


def _steady(part: Part, last_us: int | None, after: Sequence[int], refuse: Refuse) -> Iterator[Trades]:
    times = part.trades.times
    if _ascends([*([] if last_us is None else [last_us]), *times, *after[:1]]):
        yield part.trades
        return
    strays = _strays([*([] if last_us is None else [last_us]), *times, *after])
    offset = 0 if last_us is None else 1
    start = 0
    for place in range(len(times)):
        if place + offset in strays:
            refuse("time", part.lines[place], part.texts[place])
            if start < place:
                yield part.trades.cut(start, place)
            start = place + 1
    if start < len(times):
        yield part.trades.cut(start, len(times))


def _ascends(times: list[int]) -> bool:
    return times == sorted(times)


def _strays(times: Sequence[int]) -> set[int]:
    """Return the places of times that are far from both neighbours in the longest ascending selection of times."""
    size = len(times)
    # Of the longest selections, these two prefer the earliest and the latest times; a stray widens the one it is in.
    early = _longest_ascending(times)
    late = [size - 1 - place for place in reversed(_longest_ascending([-time for time in reversed(times)]))]
    selected = min(early, late, key=lambda places: times[places[-1]] - times[places[0]])
    strays = set()
    position = 0  # of the first selected place at or after the current one
    for place, time in enumerate(times):
        while position < len(selected) and selected[position] < place:
            position += 1
        before = times[selected[position - 1]] if position else time
        after = times[selected[position]] if position < len(selected) else time
        if time < before - FAR_US or time > after + FAR_US:
            strays.add(place)
    return strays


def _longest_ascending(times: Sequence[int]) -> list[int]:
    """Return the places of a longest selection of `times` that never descends."""
    ends: list[int] = []  # the least last time of a selection of each length
    places: list[int] = []
    before: list[int] = []
    for place, time in enumerate(times):
        length = bisect_right(ends, time)
        ends[length : length + 1] = [time]
        places[length : length + 1] = [place]
        before.append(places[length - 1] if length else -1)
    selected = []
    place = places[-1] if places else -1
    while place >= 0:
        selected.append(place)
        place = before[place]
    return selected[::-1]
