"""What can go wrong with Binance, beyond what base.py knows. A caller that catches ExchangeError has caught it all.

ExchangeError
├── RateLimitedError          later, and it is known when
├── HistoryUnavailableError   later, perhaps
├── UnusableError
│   └── RequestRefusedError   never
└── FeedError
    └── ConnectionFailedError a connection that did not open, or did not bring what was asked of it
"""

from marketstream.exchanges.base import ExchangeError, FeedError, UnusableError


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


class ConnectionFailedError(FeedError):
    """A WebSocket that did not open, or did not confirm its subscriptions."""
