"""Fixed-point numbers: an amount is an integer `value` and a `scale`, meaning value / 10**scale.

Sums and products of integers are exact, and an integer is what the wire, the ledger and the candles hold. A price of
39432.48 at scale 2 is 3943248.
"""

import re
from decimal import Decimal
from typing import Final

from marketstream.market.errors import NumberError

MAX_SCALE: Final = 18
"""Most digits after the point: what the smallest unit of a token (10**-18) needs."""

MAX_VALUE: Final = 2**63 - 1
"""Greatest scaled value: what 64 bits hold, here and in every reader of the wire format."""

_MOST_DIGITS: Final = 2 * MAX_SCALE + 4
"""Most characters worth reading; Python itself refuses to read integers of thousands of digits."""

_NUMBER: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


def parse(text: str) -> tuple[int, int]:
    """The value and the least scale that hold `text`, a plain decimal number such as "0.00026300".

    Raises NumberError for anything else: a sign, an exponent, more than MAX_SCALE digits, more than 64 bits.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= _MOST_DIGITS else None
    if match is None:
        raise NumberError(f"{text[:50]!r} is not a plain, unsigned decimal number such as 39432.48")
    fraction = (match[2] or "").rstrip("0")
    scale = len(fraction)
    value = int(match[1] + fraction)
    if scale > MAX_SCALE or value > MAX_VALUE:
        raise NumberError(f"{text!r} has more digits than a scaled 64-bit integer holds (scale up to {MAX_SCALE})")
    return value, scale


def rescale(value: int, scale: int, to: int) -> int:
    """The same amount at the scale `to`, which must not be below `scale` (digits are never lost)."""
    if to < scale:
        raise NumberError(f"an amount of scale {scale} cannot be held at scale {to} without losing digits")
    factor: int = 10 ** (to - scale)
    return value * factor


def to_text(value: int, scale: int) -> str:
    """The amount as plain decimal text without exponent and without trailing zeros: "39430.3", "0"."""
    sign = "-" if value < 0 else ""
    digits = str(abs(value))
    if scale == 0:
        return sign + digits
    digits = digits.rjust(scale + 1, "0")
    whole, fraction = digits[:-scale], digits[-scale:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def decimal_text(number: Decimal) -> str:
    """A Decimal as to_text writes it: plain, no exponent, no trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
