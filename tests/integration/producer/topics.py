"""Reading a topic as any other consumer would, not by this project's own code."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from marketstream.codec import Heartbeat, Record, TradesRecord, decode
from marketstream.market.trade import Trade

LIMIT_S = 60


async def read_until(bootstrap: str, topic: str, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """The topic's records from its first on, as soon as they are `enough`."""
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
    """What the last heartbeat says, 0 where there is none."""
    return next((record.closes_before_us for record in reversed(records) if isinstance(record, Heartbeat)), 0)
