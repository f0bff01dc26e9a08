"""What can go wrong with Binance, beyond what base.py knows. A caller that catches ExchangeError has caught it all.

ExchangeError
├── RateLimitedError          later, and it is known when
├── HistoryUnavailableError   later, perhaps
├── UnusableError
│   └── RequestRefusedError   never
└── FeedError
    └── ConnectionFailedError a connection that did not open, or did not bring what was asked of it
"""

from typing import Final

from marketstream.exchanges.base import ExchangeError, FeedError, UnusableError

_UNLISTED: Final = (-1100, -1121)  # BAD_SYMBOL, and ILLEGAL_CHARS for what is not even spelled like one


class RateLimitedError(ExchangeError):
    """The limits allow no request for longer than the caller should be kept waiting.

    `retry_after_s` says in how many seconds they may allow one again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HistoryUnavailableError(ExchangeError):
    """The REST API cannot be reached, does not answer in time or well, or its history is behind. Later may help."""


class RequestRefusedError(UnusableError):
    """The exchange says that the request is wrong; the same request again would be as wrong.

    `code` is Binance's own (chapter Error Codes), 0 when the answer had none.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_unlisted(self) -> bool:
        """Whether one of the symbols that were asked for is not listed. It is not told which."""
        return self.code in _UNLISTED


class ConnectionFailedError(FeedError):
    """A WebSocket that did not open, or did not confirm its subscriptions."""
