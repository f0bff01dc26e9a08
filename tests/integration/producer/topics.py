"""Read a topic as any other consumer would, without this project's own consumer."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from marketstream.codec import Heartbeat, Record, TradesRecord, decode
from marketstream.market.trade import Trade

LIMIT_S = 60


async def read_until(bootstrap: str, topic: str, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """Return the topic's records from the first one on, as soon as they are `enough`."""
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    records: list[Record] = []
    try:
        consumer.assign([partition])
        async with asyncio.timeout(LIMIT_S):
            while not enough(records):
                for messages in (await consumer.getmany(partition, timeout_ms=1000)).values():
                    records += [decode(message.value) for message in messages]
    finally:
        await consumer.stop()
    return records


def trades_in(records: list[Record]) -> list[Trade]:
    return [trade for record in records if isinstance(record, TradesRecord) for trade in record.trades]


def last_clock(records: list[Record]) -> int:
    """Return the clock of the last heartbeat, or 0 if there is none."""
    return next((record.closes_before_us for record in reversed(records) if isinstance(record, Heartbeat)), 0)
