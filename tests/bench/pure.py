"""The core alone, without Kafka or a database: what it costs to decode a record, and to count its trades as well."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka.structs import ConsumerRecord
from marketstream.codec import decode
from marketstream.kafka.consumer import Offsets
from marketstream.market.progress import Progress
from marketstream.postgres.writer import Claim, SymbolKey
from marketstream.processor.batch import Batch
from marketstream.processor.symbol import OwnedSymbol
from marketstream.settings import Settings

from tests.bench.trades import EXCHANGE, records

SYMBOL = "BTCUSDT"
POLL = 1_000
"""Messages that are applied in one go, as the consumer hands them over."""


@dataclass(frozen=True)
class Measured:
    """µs of CPU for each trade, medians."""

    packing: int
    decode_us: float
    count_us: float
    """To decode and to count."""


def measure(packing: int, trades: int, repetitions: int) -> Measured:
    """Decodes the same records, and decodes and counts them, in turn."""
    messages = [_message(offset, value) for offset, value in enumerate(records(SYMBOL, trades, packing))]

    def only_decode() -> None:
        for message in messages:
            decode(message.value)

    def count() -> None:
        owned = OwnedSymbol(
            SymbolKey(EXCHANGE, SYMBOL), "trades", Claim(1, 0, Progress()), None, Offsets(0, 0), Settings()
        )
        for start in range(0, len(messages), POLL):
            Batch(owned, messages[start : start + POLL]).apply()
        if owned.aggregator.counters.counted != trades:
            raise RuntimeError(f"{owned.aggregator.counters.counted} trades counted of {trades}")

    pairs = [(_cpu_s(only_decode), _cpu_s(count)) for _ in range(repetitions)]
    decoding, counting = (statistics.median(times) / trades * 1e6 for times in zip(*pairs, strict=True))
    return Measured(packing, decoding, counting)


def _message(offset: int, value: bytes) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("trades", 0, offset, 0, 0, None, value, None, -1, len(value), ())


def _cpu_s(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
