"""A stand-in for the backfill, which publishes missing trades from the exchange's history in the worst allowed way."""

from collections.abc import Iterable
from random import Random

from marketstream.codec import TradesRecord
from marketstream.exchanges.clock import now_us
from marketstream.market.ledger import merged
from marketstream.market.trade import Trades

from tests.faults.exchange import NAME, PAGE, START_US, UnreliableExchange
from tests.faults.pipeline import Pipeline
from tests.faults.topics import Topics


class Filler:
    """Fills the holes of the topics, but no trades that a topic holds and nobody counted: that would hide a bug."""

    def __init__(self, rng: Random, exchange: UnreliableExchange, topics: Topics, pipeline: Pipeline) -> None:
        self._rng = rng
        self._exchange = exchange
        self._topics = topics
        self._pipeline = pipeline

    async def fill(self, last_ids: dict[str, int], share: float = 1.0) -> int:
        """Publish a share of the holes up to these ids, and return their number of trades."""
        held, progress = await self._topics.trade_ids(), await self._pipeline.progress()
        records: list[TradesRecord] = []
        filled = 0
        for symbol, last_id in last_ids.items():
            first_id = self._exchange.first_id_from(symbol, START_US)
            missing = set(range(first_id, last_id + 1)) - held[symbol] - progress[symbol].counted
            holes = [hole for hole in merged((lost, lost) for lost in missing) if self._rng.random() < share]
            filled += sum(high - low + 1 for low, high in holes)
            records += self._records(symbol, holes, range(first_id, last_id + 1))
        self._rng.shuffle(records)
        await self._topics.publish([*records, *(record for record in records if self._rng.random() < 0.2)])
        return filled

    def _records(self, symbol: str, holes: Iterable[tuple[int, int]], within: range) -> list[TradesRecord]:
        """Return pages that reach a little beyond the holes, but not beyond the ids `within`; some are reversed."""
        records = []
        for low, high in holes:
            for first in range(low, high + 1, PAGE):
                first_id = max(first - self._rng.randrange(3), within[0])
                trades = self._exchange.trades(symbol, first_id, min(first + PAGE, high + 1, within[-1]))
                if self._rng.random() < 0.2:
                    trades.reverse()
                columns = Trades.of(trades, *self._exchange.scales(symbol))
                records.append(TradesRecord(NAME, symbol, now_us(), columns))
        return records
