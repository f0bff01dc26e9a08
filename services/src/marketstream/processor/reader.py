"""Reads the topics of the owned symbols and applies what they hold."""

import asyncio
from typing import Final

from marketstream.kafka.consumer import Consumer
from marketstream.processor.batch import Batch
from marketstream.processor.holdings import Holdings

MAX_PENDING: Final = 2_000
"""Candles of a symbol that may wait for a commit; beyond it, its topic is not read on."""


async def read_records(holdings: Holdings, consumer: Consumer) -> None:
    """Reads until cancelled. Raises BrokerUnavailableError when Kafka is away or refuses."""
    paused: set[str] = set()
    while True:
        batches = await consumer.poll()
        for topic, messages in batches.items():
            owned = holdings.owned.get(topic)
            if owned is None:
                continue  # revoked, or not claimed yet: it is read again from where its owner begins
            Batch(owned, messages).apply()
            if owned.is_due:
                holdings.wants_commit.set()
            if owned.aggregator.pending > MAX_PENDING:
                consumer.pause([topic])
                paused.add(topic)
        for topic in [topic for topic in paused if _may_go_on(holdings, topic)]:
            paused.remove(topic)
            if topic in holdings.owned:
                consumer.resume([topic])
        await asyncio.sleep(0)  # a poll that finds messages waiting does not let others run


def _may_go_on(holdings: Holdings, topic: str) -> bool:
    owned = holdings.owned.get(topic)
    return owned is None or owned.aggregator.pending <= MAX_PENDING // 2
