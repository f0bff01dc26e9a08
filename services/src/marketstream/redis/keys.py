"""The names of the keys. `<exchange>:<SYMBOL>:price` is exact; `BTCUSDT:price` belongs to the default exchange."""

from typing import NamedTuple


class Keys(NamedTuple):
    """The keys of one symbol; the `short` ones are written for the symbols of the default exchange only."""

    price: str
    current_candle: str
    last_candle: str
    status: str

    @classmethod
    def of(cls, exchange: str, symbol: str) -> "Keys":
        """The exact keys of a symbol."""
        stem = f"{exchange}:{symbol}"
        return cls(f"{stem}:price", f"{stem}:current_candle", f"{stem}:last_candle", f"stream:{stem}")

    @classmethod
    def short(cls, symbol: str) -> tuple[str, str, str]:
        """Price, open and last candle of a symbol of the default exchange."""
        return f"{symbol}:price", f"{symbol}:current_candle", f"{symbol}:last_candle"
