"""Names of the keys: exact ones, `<exchange>:<SYMBOL>:price`, and short ones, `<SYMBOL>:price`, without exchange."""

from typing import NamedTuple


class Keys(NamedTuple):
    """The exact keys of one symbol."""

    price: str
    current_candle: str
    last_candle: str
    status: str

    @classmethod
    def of(cls, exchange: str, symbol: str) -> "Keys":
        """Return the exact keys of a symbol."""
        stem = f"{exchange}:{symbol}"
        return cls(f"{stem}:price", f"{stem}:current_candle", f"{stem}:last_candle", f"stream:{stem}")

    @classmethod
    def short(cls, symbol: str) -> tuple[str, str, str]:
        """Return the short keys for price, open and last candle, which only symbols of the default exchange have."""
        return f"{symbol}:price", f"{symbol}:current_candle", f"{symbol}:last_candle"
