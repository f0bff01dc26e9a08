"""Errors of the domain. Each message says what was given and what was expected."""


class MarketError(ValueError):
    """Base class of the domain's errors."""


class NumberError(MarketError):
    """A text or value is not a valid price or quantity."""


class TradeError(MarketError):
    """Trades are impossible: a price of zero or less, a wrong time, columns of unequal length."""
