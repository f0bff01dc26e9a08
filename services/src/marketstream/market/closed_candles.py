"""The candles of closed windows that wait for a commit."""

from operator import attrgetter

from marketstream.market.candle import Candle
from marketstream.market.ledger import Ledger
from marketstream.market.progress import ClosedCandle
from marketstream.market.trade import Trade


class ClosedCandles:
    """The candles to store, by window: newly closed ones, and corrections of windows closed before."""

    def __init__(self) -> None:
        self.newest: Candle | None = None
        """The candle with the newest trade of all that were ever closed or corrected here."""
        self._waiting: dict[int, Candle] = {}
        self._judged: dict[int, str | None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, candle: Candle) -> None:
        """Add the candle of a window that has closed."""
        self._waiting[candle.window] = candle
        self._remember(candle)

    def correct(self, window: int, trade: Trade, price_scale: int, quantity_scale: int) -> None:
        """Count a late trade of a closed window as a correction of its candle."""
        self._judged.pop(window, None)
        candle = self._waiting.get(window)
        if candle is None:
            candle = self._waiting[window] = Candle(window, price_scale, quantity_scale, trade)
        else:
            candle.count(trade, price_scale, quantity_scale)
        self._remember(candle)

    def judge(self, ledger: Ledger) -> None:
        """Judge the candles now, because the ids of the ledger are about to begin again."""
        for candle in self._waiting.values():
            self._judged.setdefault(candle.window, ledger.reason(candle.window, candle.first_id, candle.last_id))

    def take(self, ledger: Ledger) -> list[ClosedCandle]:
        """Return the candles in the order of their windows, with the reason of each. They wait no longer."""
        self.judge(ledger)
        closed = [
            ClosedCandle(candle, self._judged[candle.window])
            for candle in sorted(self._waiting.values(), key=attrgetter("window"))
        ]
        self._waiting, self._judged = {}, {}
        return closed

    def _remember(self, closed: Candle) -> None:
        newest = self.newest
        if newest is None or (closed.close_time, closed.close_id) > (newest.close_time, newest.close_id):
            self.newest = closed
