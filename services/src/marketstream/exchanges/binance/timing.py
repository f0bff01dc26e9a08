"""Timeouts, delays and intervals of the feed and of the history."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All values are in seconds. The defaults respect Binance's limits; tests use shorter times."""

    open_s: float = 10.0
    """Timeout for opening a connection."""
    answer_s: float = 10.0
    """Timeout for the answer to a message such as SUBSCRIBE."""
    pace_s: float = 0.34
    """Delay between two messages that we send: 3 a second, of the 5 that a connection may send.

    The other two are left for a pong and a ping, which count as well.
    """
    ping_s: float = 10.0
    """Interval between two pings that we send; a half-open socket does not answer them."""
    pong_s: float = 10.0
    """Timeout for the answer to a ping."""
    first_retry_s: float = 0.25
    """Delay before the second attempt to connect; each further delay is twice as long."""
    most_retry_s: float = 30.0
    """Maximum delay between attempts to connect: far below the limit of 300 connections in 5 minutes."""
    attempts: int = 300
    """Attempts to connect that Binance allows one IP address in `attempts_s` (WebSocket Streams, General Info)."""
    attempts_s: float = 300.0
    """Period in which Binance counts the attempts."""
    steady_s: float = 10.0
    """A connection that lived at least this long is replaced without delay when it is lost."""
    age_s: float = 23.5 * 3600
    """Maximum age of a connection before it is replaced; Binance ends a connection after 24 hours."""
    overlap_s: float = 5.0
    """Time for which a connection is still read after its successor has subscribed."""
    stale_s: float = 15.0
    """Time without a trade of a symbol after which REST is queried for missed trades."""
    most_stale_s: float = 600.0
    """Maximum of `stale_s`, which doubles each time the symbol is reported silent, until a trade arrives."""
    confirm_s: float = 2.0
    """Time for which a trade that REST already returns may still be on its way over the WebSocket."""
    clock_s: float = 0.5
    """Interval between two ClockAdvanced events of a symbol."""
    request_s: float = 5.0
    """Timeout for the answer to a REST request."""
