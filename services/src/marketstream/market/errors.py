"""What the domain refuses. Each message says what was given and what was expected."""


class MarketError(ValueError):
    """Base of all that the pure domain refuses."""


class NumberError(MarketError):
    """A text or value that is no legal price or quantity."""


class TradeError(MarketError):
    """Trades that contradict themselves: a price not above zero, an impossible time, columns of unequal length."""
