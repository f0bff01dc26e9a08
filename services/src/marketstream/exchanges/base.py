"""The contract of an exchange: a feed of what happens now, and a history that can be asked."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import msgspec

from marketstream.market.trade import Trades


class Heard(msgspec.Struct, frozen=True, gc=False):
    """Trades of one symbol that the feed brought. `event_us` is the exchange's own time of the message (Unix µs),
    `received_us` the local time at which it was heard."""

    symbol: str
    trades: Trades
    event_us: int
    received_us: int


class Clock(msgspec.Struct, frozen=True, gc=False):
    """The exchange's clock (Unix µs) as heard on the connection of the symbol: what happened before it has been
    heard. In a replay it is the clock of the file."""

    symbol: str
    time_us: int


class Alive(msgspec.Struct, frozen=True, gc=False):
    """The exchange answers on a connection of the feed. It says nothing of any symbol, nor of the exchange's clock: in
    a quiet market it is all that a feed brings."""


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The newest trade that the exchange knows of, as of its time `at_us` (Unix µs)."""

    id: int
    at_us: int


class Exchange(Protocol):
    """One exchange. All times are Unix µs, all ids the exchange's own."""

    @property
    def name(self) -> str:
        """Under which name the trades are stored."""

    async def check(self, symbols: Sequence[str]) -> None:
        """Raises UnknownSymbolError, naming them, when the exchange does not list all `symbols`."""

    def feed(self, symbols: Sequence[str]) -> AsyncGenerator[Heard | Clock | Alive, None]:
        """What happens from now on, in the order heard, until the caller closes it. Ends only when a recording ends.

        As long as the exchange can be heard something comes several times in half a minute, in a quiet market too.

        Raises FeedError when it breaks. A slow reader is a slow feed: nothing is lost, nothing piles up.
        """

    async def history(
        self, symbol: str, first_id: int, last_id: int, *, after_us: int | None = None, before_us: int | None = None
    ) -> Trades | None:
        """A page of the trades with ids from `first_id` to `last_id` (both included), from `first_id` on, in order.

        They are known to have happened from `after_us` to `before_us` (Unix µs), which helps where a history is
        asked by time. None where the exchange has none of them in its history.
        """

    async def newest(self, symbol: str) -> Newest | None:
        """The newest trade, or None when there never was one."""

    async def close(self) -> None:
        """Ends what the exchange holds open."""
