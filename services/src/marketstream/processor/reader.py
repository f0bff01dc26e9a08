"""Read the topics of the owned symbols and apply their records."""

import asyncio
from typing import Final

from marketstream.kafka.consumer import Consumer
from marketstream.processor.batch import Batch
from marketstream.processor.holdings import Holdings

MAX_PENDING: Final = 2_000
"""Maximum number of candles of a symbol that may wait for a commit; beyond it, the symbol's topic is paused."""


async def read_records(holdings: Holdings, consumer: Consumer) -> None:
    """Read until cancelled. Raise BrokerUnavailableError if Kafka does not respond or fails."""
    paused: set[str] = set()
    while True:
        batches = await consumer.poll()
        for topic, messages in batches.items():
            owned = holdings.owned.get(topic)
            if owned is None:
                continue  # revoked or not claimed yet: whoever claims it reads these messages again
            Batch(owned, messages).apply()
            if owned.is_due:
                holdings.wants_commit.set()
            if owned.aggregator.pending > MAX_PENDING:
                consumer.pause([topic])
                paused.add(topic)
        for topic in [topic for topic in paused if _may_resume(holdings, topic)]:
            paused.remove(topic)
            if topic in holdings.owned:
                consumer.resume([topic])
        await asyncio.sleep(0)  # a poll that finds messages waiting does not let other tasks run


def _may_resume(holdings: Holdings, topic: str) -> bool:
    owned = holdings.owned.get(topic)
    return owned is None or owned.aggregator.pending <= MAX_PENDING // 2
