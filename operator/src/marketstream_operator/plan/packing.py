"""Packing of symbols into pairs. Pure: the present packing is recovered from the existing pairs."""

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Final

from marketstream_operator.names import pair_of_symbol

_PACKED: Final = re.compile(r"p(0|[1-9][0-9]*)")

Packing = dict[str, tuple[str, ...]]
"""The symbols of each pair, by pair id."""


def pack(symbols: Iterable[str], per_pair: int, live: Mapping[str, Iterable[str]]) -> Packing:
    """Return the pairs that `symbols` need, given the symbols of the existing pairs in `live`.

    With one symbol per pair, each pair is named after its symbol. Otherwise pairs are named `p0`, `p1`, …: a symbol
    stays in its pair, and a new symbol is added to the lowest pair with room. Pairs are never compacted, so that no
    pair restarts because of another.
    """
    if per_pair == 1:
        return {pair_of_symbol(symbol): (symbol,) for symbol in symbols}
    homeless = dict.fromkeys(symbols)
    pairs: dict[str, list[str]] = {}
    for pair in sorted((name for name in live if _PACKED.fullmatch(name)), key=_number):
        stay = [symbol for symbol in live[pair] if symbol in homeless]
        for symbol in stay:
            del homeless[symbol]
        if stay:
            pairs[pair] = stay
    room = (name for n in count() if len(pairs.setdefault(name := f"p{n}", [])) < per_pair)
    pair = ""
    for symbol in homeless:
        if not pair or len(pairs[pair]) >= per_pair:
            pair = next(room)
        pairs[pair].append(symbol)
    return {name: tuple(pairs[name]) for name in sorted(pairs, key=_number) if pairs[name]}


def _number(pair: str) -> int:
    return int(pair[1:])
