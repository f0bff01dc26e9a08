"""The errors of every exchange.

ExchangeError
├── PermanentError                waiting does not help
│   ├── UnknownSymbolError        the exchange does not list the symbols
│   ├── RequestRefusedError       the exchange refuses the request
│   └── RecordingError            the file of a replay is unusable
├── FeedError                     reconnecting may help
│   └── ConnectionFailedError     a connection did not open, or did not confirm its subscriptions
├── HistoryUnavailableError       the same request may succeed later
└── RateLimitedError              the same request may succeed after `retry_after_s`

Everything an exchange raises is an ExchangeError. Only a PermanentError is not worth a retry.
"""

from collections.abc import Sequence


class ExchangeError(Exception):
    """Base class of all exchange errors."""


class PermanentError(ExchangeError):
    """The request is wrong and stays wrong: waiting does not help."""


class UnknownSymbolError(PermanentError):
    """The exchange does not list some of the symbols; the message names them, and `symbols` holds them."""

    def __init__(self, message: str, symbols: Sequence[str]) -> None:
        super().__init__(message)
        self.symbols = tuple(symbols)


class RequestRefusedError(PermanentError):
    """The exchange reports that the request is wrong; repeating the request would fail again.

    `code` is the exchange's own error code, 0 if the answer had none.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class RecordingError(PermanentError):
    """A recording is missing, damaged, or not a trade dump."""


class FeedError(ExchangeError):
    """The feed broke; the reader may open a new feed after a while."""


class ConnectionFailedError(FeedError):
    """A connection did not open, or did not confirm its subscriptions."""


class HistoryUnavailableError(ExchangeError):
    """The history is unreachable, too slow, unreadable or behind. A later request may succeed."""


class RateLimitedError(ExchangeError):
    """The exchange's limits allow no request soon enough for the caller to wait.

    `retry_after_s` is the number of seconds until the next request may be allowed.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
