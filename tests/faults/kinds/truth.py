"""The correct candles of an exchange whose ids may begin again: the ids of one generation prove windows of no other."""

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter

from marketstream.market.trade import Trade
from marketstream.market.window import WINDOW_US

from tests.faults.kinds.exchange import ChangingMarket
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.sources import ServerTrade
from tests.harness.model import Row, reference_generations
from tests.integration.live.exchange import PLACES, Truth, trade_of


class GenerationTruth(Truth):
    """The correct complete candles, from the server's own trades of all generations."""

    def __init__(self, server: BinanceServer) -> None:
        super().__init__(server)
        self._known: dict[tuple[str, int], Row | None] = {}

    def row(self, symbol: str, start_s: int) -> Row | None:
        """Return the candle of the window that starts at `start_s` (Unix s), incomplete until the window has ended."""
        key = symbol, start_s
        if key not in self._known:
            first_us, end_us = start_s * 1_000_000, start_s * 1_000_000 + WINDOW_US
            around = []
            for trades in self._generations(symbol):
                start = bisect_left(trades, first_us, key=attrgetter("time_us"))
                end = bisect_left(trades, end_us, key=attrgetter("time_us"))
                around.append(trades[max(start - 1, 0) : end + 1])
            row = self._reference(symbol, around).get(start_s)
            newest = self._market(symbol).trades[-1:]
            if not newest or newest[0].time_us < end_us:
                return row
            self._known[key] = row
        return self._known[key]

    def rows(self, symbol: str, first_id: int, lost: Sequence[int] = ()) -> dict[int, Row]:
        """Return all candles of the trades from `first_id` of the first generation on; none may be lost."""
        assert not lost
        first, *later = self._generations(symbol)
        return self._reference(symbol, [[trade for trade in first if trade.id >= first_id], *later])

    def _market(self, symbol: str) -> ChangingMarket:
        market = self._server.markets[symbol]
        assert isinstance(market, ChangingMarket)
        return market

    def _generations(self, symbol: str) -> list[list[ServerTrade]]:
        market = self._market(symbol)
        return [*(trades for trades, _ in market.past), market.trades]

    def _reference(self, symbol: str, parts: Sequence[Sequence[ServerTrade]]) -> dict[int, Row]:
        """Return the candles, with a trade after the newest of each generation that proves the windows until its end.

        The exchange knows that nothing happened until then.
        """
        market = self._market(symbol)
        ends = [end_us for _, end_us in market.past]
        generations: list[list[Trade]] = []
        for index, part in enumerate(parts):
            known = [trade_of(trade) for trade in part]
            if index == len(ends):
                known += self._next(symbol, known)
            elif known and known[-1].id == market.past[index][0][-1].id:
                known.append(known[-1]._replace(id=known[-1].id + 1, time=max(ends[index], known[-1].time)))
            generations.append(known)
        return reference_generations(generations, PLACES, PLACES)
