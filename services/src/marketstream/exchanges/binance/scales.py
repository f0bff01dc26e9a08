"""Fast conversion of one symbol's decimal texts to scaled integers, all at the same scale.

Binance writes amounts with 8 places ("39432.48000000"), far more than most symbols need. The scale follows from the
smallest step that the exchange allows (REST API, Exchange information: the filters PRICE_FILTER and LOT_SIZE), so that
it is the same in every record. The step may have been smaller in the past: an amount with more places widens the scale
from then on, and no digit is ever lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from marketstream.market.errors import NumberError
from marketstream.market.number import MAX_VALUE, parse, rescale

_PLACES: Final = 8
"""Decimal places that Binance writes."""

_LONGEST: Final = 19
"""Length of an amount whose digits surely fit 64 bits: 18 digits and a point."""


class Scale:
    """The scale of the prices, or of the quantities, of one symbol. A scale only ever grows."""

    __slots__ = ("_factor", "places")

    def __init__(self, places: int) -> None:
        self.places = places
        self._factor = _factor(places)

    @classmethod
    def of_step(cls, step: str) -> "Scale":
        """Return the scale of the multiples of a step such as "0.01000000". Raise NumberError for an invalid number."""
        return cls(parse(step)[1])

    def read_all(self, texts: Sequence[str]) -> list[int]:
        """Return the values of `texts` at this scale, which first grows if a text has more places.

        Raises NumberError, without changing the scale, if a text is not a plain decimal number or does not fit 64 bits.
        """
        values = self._read_usual(texts)
        return self._read_any(texts) if values is None else values

    def _read_usual(self, texts: Sequence[str]) -> list[int] | None:
        """Return the values if all texts have some digits, a point and eight digits; otherwise return None."""
        digits = [text[:-9] + text[-8:] for text in texts if 9 < len(text) <= _LONGEST and text[-9] == "."]
        joined = "".join(digits)
        if len(digits) < len(texts) or self.places > _PLACES or not (joined.isdigit() and joined.isascii()):
            return None
        factor = self._factor
        divided = [divmod(int(text), factor) for text in digits]
        return None if any(lost for _, lost in divided) else [value for value, _ in divided]

    def _read_any(self, texts: Sequence[str]) -> list[int]:
        parsed = [parse(text) for text in texts]
        places = max([self.places, *(least for _, least in parsed)])
        values = [rescale(value, least, places) for value, least in parsed]
        if (greatest := max(values, default=0)) > MAX_VALUE:
            raise NumberError(f"{greatest} at scale {places} does not fit 64 bits")
        if places > self.places:
            self.places, self._factor = places, _factor(places)
        return values


def _factor(places: int) -> int:
    """Return the divisor of a value with eight places."""
    factor: int = 10 ** max(0, _PLACES - places)
    return factor


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of one symbol."""

    price: Scale = field(default_factory=lambda: Scale(0))
    quantity: Scale = field(default_factory=lambda: Scale(0))

    @property
    def places(self) -> tuple[int, int]:
        """The decimal places of price and quantity."""
        return self.price.places, self.quantity.places
