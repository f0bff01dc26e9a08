"""Measure the core without Kafka or a database: decoding records, with and without counting their trades."""

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
"""The number of messages that are applied together, as the consumer returns them."""


@dataclass(frozen=True)
class Measured:
    """Medians of the CPU time in µs for each trade."""

    packing: int
    decode_us: float
    count_us: float
    """The time to decode and to count."""


def measure(packing: int, trades: int, repetitions: int) -> Measured:
    """Decode the same records, and decode and count them, in turn."""
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
            raise RuntimeError(f"counted {owned.aggregator.counters.counted} trades, expected {trades}")

    pairs = [(_cpu_s(only_decode), _cpu_s(count)) for _ in range(repetitions)]
    decoding, counting = (statistics.median(times) / trades * 1e6 for times in zip(*pairs, strict=True))
    return Measured(packing, decoding, counting)


def _message(offset: int, value: bytes) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("trades", 0, offset, 0, 0, None, value, None, -1, len(value), ())


def _cpu_s(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
