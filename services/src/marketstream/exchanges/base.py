"""The contract of an exchange: a live feed, and a history that can be queried."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import msgspec

from marketstream.market.trade import Trades


class TradesReceived(msgspec.Struct, frozen=True, gc=False):
    """Trades of one symbol, as received from the feed.

    `event_us` is the exchange's own time of the message, `received_us` the local time of its arrival (both Unix µs).
    `is_unordered` is True if the exchange skips ids, so that missing ids prove nothing.
    """

    symbol: str
    trades: Trades
    event_us: int
    received_us: int
    is_unordered: bool = False


class ClockAdvanced(msgspec.Struct, frozen=True, gc=False):
    """The exchange's clock, as received on the connection that carries the symbol.

    The feed has already yielded every trade that happened before `time_us` (Unix µs), unless the trade was lost. In a
    replay, `time_us` is the time of the recording.
    """

    symbol: str
    time_us: int


class ConnectionAlive(msgspec.Struct, frozen=True, gc=False):
    """The exchange responds on a connection of the feed.

    The event says nothing about any symbol, nor about the exchange's clock. In a quiet market it is the only event.
    """


class ConnectionChanged(msgspec.Struct, frozen=True, gc=False):
    """The connection that carries the symbol was opened or lost.

    A symbol counts as connected while its feed runs, until the first event of this kind says otherwise.
    """

    symbol: str
    is_open: bool


FeedEvent = TradesReceived | ClockAdvanced | ConnectionAlive | ConnectionChanged


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The id of the newest trade that the exchange reports, as of its time `at_us` (Unix µs)."""

    id: int
    at_us: int


class Exchange(Protocol):
    """One exchange. All times are Unix µs; all trade ids are the exchange's own.

    Every method may raise an ExchangeError; exchanges/errors.py draws the tree.
    """

    @property
    def name(self) -> str:
        """The name under which the trades are stored."""

    async def check(self, symbols: Sequence[str]) -> None:
        """Raise UnknownSymbolError with the symbols that the exchange does not list, if there are any.

        The other symbols can still be used.
        """

    def feed(self, symbols: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        """Yield the events of `symbols` from now on, in order of arrival, until the caller closes the feed.

        Only the feed of a recording ends by itself. While the exchange is reachable, several events arrive every half
        minute, even in a quiet market.

        Raises FeedError when the feed breaks. A slow reader slows the feed down: nothing is lost, and nothing piles up.
        """

    async def history(
        self, symbol: str, first_id: int, last_id: int, *, after_us: int | None = None, before_us: int | None = None
    ) -> Trades | None:
        """Return a page of the trades with ids from `first_id` to `last_id` (both included), in order of their ids.

        The page begins at `first_id`, or at the next id that the history has. Return None if the history has none of
        these trades.

        The trades are known to have happened between `after_us` and `before_us` (Unix µs), which helps an exchange
        whose history is queried by time.
        """

    async def newest(self, symbol: str) -> Newest | None:
        """Return the newest trade, or None if the symbol has never been traded.

        Raises UnknownSymbolError if the exchange answers that it does not list the symbol.
        """

    async def close(self) -> None:
        """Close the connections of the exchange."""
