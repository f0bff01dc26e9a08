"""When the feed and the history lose patience."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All in seconds. The defaults fit Binance's limits; tests shorten them."""

    open_s: float = 10.0
    """For a connection to open."""
    answer_s: float = 10.0
    """For the answer to a message such as SUBSCRIBE."""
    pace_s: float = 0.34
    """Between two messages that we send: 3 of the 5 a second that a connection may send. The other two are left to a
    pong and a ping, which count too."""
    ping_s: float = 10.0
    """Between two pings of ours; a socket that is half open answers none."""
    pong_s: float = 10.0
    """For the answer to a ping."""
    first_retry_s: float = 0.25
    most_retry_s: float = 30.0
    """Between attempts to connect, doubling from the first to the most: far below 300 connections in 5 minutes."""
    steady_s: float = 10.0
    """For which a connection must have lived for the next attempt to come without delay."""
    age_s: float = 23.5 * 3600
    """After which a connection is replaced; Binance ends it after 24 hours."""
    overlap_s: float = 5.0
    """For which a connection is still read after its successor has been subscribed."""
    stale_s: float = 15.0
    """Without a trade of a symbol, after which REST is asked whether there were any."""
    most_stale_s: float = 600.0
    """The same, doubled each time that a connection was replaced for the symbol in vain, to at most this."""
    confirm_s: float = 2.0
    """For which a trade that REST knows may still be on its way on the socket."""
    clock_s: float = 0.5
    """Between two Clocks of a symbol."""
    request_s: float = 5.0
    """For the answer to a REST request."""
