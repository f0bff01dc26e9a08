"""Fixed-point numbers: an amount is an integer `value` and a `scale`, meaning value / 10**scale.

A price of 39432.48 at scale 2 is 3943248. Sums and products of integers are exact, so the records, the ledger and the
candles hold integers.
"""

import re
from decimal import Decimal
from typing import Final

from marketstream.market.errors import NumberError

MAX_SCALE: Final = 18
"""Maximum number of digits after the point: the smallest unit of a token, 10**-18, needs 18."""

MAX_VALUE: Final = 2**63 - 1
"""Greatest scaled value: 64 bits hold it, here and in every reader of the records."""

_MOST_DIGITS: Final = 2 * MAX_SCALE + 4
"""Maximum length of a text that is parsed at all. Python itself refuses integers of thousands of digits."""

_NUMBER: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


def parse(text: str) -> tuple[int, int]:
    """Return the value and the least scale that hold `text`, a plain decimal number such as "0.00026300".

    Raise NumberError for anything else: a sign, an exponent, more than MAX_SCALE decimals, more than 64 bits.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= _MOST_DIGITS else None
    if match is None:
        raise NumberError(f"{text[:50]!r} is not a plain decimal number without a sign, such as 39432.48")
    fraction = (match[2] or "").rstrip("0")
    scale = len(fraction)
    value = int(match[1] + fraction)
    if scale > MAX_SCALE or value > MAX_VALUE:
        raise NumberError(f"{text!r} has too many digits: expected at most {MAX_SCALE} decimals and 64 bits")
    return value, scale


def rescale(value: int, scale: int, to: int) -> int:
    """Return the value of the same amount at the scale `to`. Raise NumberError if `to` is below `scale`."""
    if to < scale:
        raise NumberError(f"an amount at scale {scale} cannot be converted to scale {to} without losing digits")
    factor: int = 10 ** (to - scale)
    return value * factor


def to_text(value: int, scale: int) -> str:
    """Return the amount as plain decimal text without exponent and without trailing zeros: "39430.3", "0"."""
    sign = "-" if value < 0 else ""
    digits = str(abs(value))
    if scale == 0:
        return sign + digits
    digits = digits.rjust(scale + 1, "0")
    whole, fraction = digits[:-scale], digits[-scale:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def decimal_text(number: Decimal) -> str:
    """Return a Decimal as plain decimal text without exponent and without trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
