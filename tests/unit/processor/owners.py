"""Owned symbols without servers: tests claim them and apply the records of their topics."""

from dataclasses import dataclass
from typing import Final

from marketstream.codec import Heartbeat, TradesRecord, encode
from marketstream.kafka.consumer import Offsets
from marketstream.market.progress import Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, SymbolKey
from marketstream.processor.batch import Batch
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings

from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE

KEY: Final = SymbolKey("simulator", "BTCUSDT")


@dataclass(frozen=True)
class Message:
    """A message of a topic, with the attributes that the processor reads."""

    offset: int
    value: bytes


def us(window: float) -> int:
    """Return a time in windows since EPOCH as Unix µs."""
    return EPOCH + round(window * WINDOW_US)


def at(trade_id: int, window: float, price: int = 100) -> Trade:
    """Return a trade at a time in windows since EPOCH."""
    return Trade(trade_id, 1, us(window), price, 5, taker_buy=True)


def record(*trades: Trade, key: SymbolKey = KEY, received_us: int | None = None) -> bytes:
    """Return a record of these trades, received when the last of them happened."""
    columns = Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE)
    return encode(TradesRecord(*key, max(columns.times) if received_us is None else received_us, columns))


def heartbeat(window: float, key: SymbolKey = KEY, *, is_connected: bool = True) -> bytes:
    """Return a heartbeat at a time in windows since EPOCH."""
    return encode(Heartbeat(*key, us(window), us(window), -1, is_connected))


def owner(
    key: SymbolKey = KEY,
    progress: Progress | None = None,
    newest_closed: StoredCandle | None = None,
    offsets: Offsets | None = None,
) -> OwnedSymbol:
    """Return a symbol that was just claimed."""
    topic = f"trades.{key.exchange}.{key.symbol}".lower()
    claim = Claim(1, 0, progress or Progress())
    return OwnedSymbol(key, topic, claim, newest_closed, offsets or Offsets(0, 0), Settings())


def apply(owned: OwnedSymbol, *records: bytes, offset: int | None = None) -> None:
    """Apply the topic's next records, or records from the offset on."""
    first = owned.position if offset is None else offset
    Batch(owned, [Message(first + index, value) for index, value in enumerate(records)]).apply()


def counted(owned: OwnedSymbol) -> list[tuple[int, int]]:
    """Return the runs (low, high) of the counted ids."""
    return [(run.low, run.high) for run in owned.ledger.counted]
