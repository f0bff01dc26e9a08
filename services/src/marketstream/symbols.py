"""The spelling of symbols, which may have letters of any script: Binance lists 币安人生USDT."""

import re
import unicodedata
from typing import Final

_CATEGORIES: Final = ("Lu", "Lo", "Lm", "Mn", "Mc")
"""Unicode's categories of capital letters, letters without case, and marks of letters."""

ANY_SCRIPT: Final = "".join(rf"\p{{{category}}}" for category in _CATEGORIES)
"""These letters as part of a class in a regular expression of Go, which Kubernetes uses."""

_SYMBOL: Final = re.compile(r"[A-Z0-9]+([-/_.:][A-Z0-9]+)*")


def is_spelled(symbol: str, pattern: re.Pattern[str] = _SYMBOL) -> bool:
    """Return True if the whole symbol matches `pattern`, in which A stands for letters beyond ASCII, too."""
    return pattern.fullmatch("".join("A" if _is_letter(letter) else letter for letter in symbol)) is not None


def _is_letter(letter: str) -> bool:
    return not letter.isascii() and unicodedata.category(letter) in _CATEGORIES
