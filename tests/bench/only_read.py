"""The yardstick for the processor: a process with the same consumer that only decodes the records.

Its settings are those of a processor. It prints one line of JSON: the seconds of CPU and by the clock from the first
poll to the end of the topics, and the number of trades.
"""

import asyncio
import json
import time
from collections.abc import Callable

import uvloop
from marketstream.codec import Record, TradesRecord, decode
from marketstream.kafka.consumer import Consumer
from marketstream.kafka.topics import topic_name
from marketstream.processor.main import spare_collector
from marketstream.settings import Settings


async def main() -> None:
    """Join the group as the processor does, and read every topic to its end."""
    settings = Settings.from_environment()
    spare_collector()
    topics = [topic_name(settings.topic_prefix, settings.exchange, symbol) for symbol in settings.symbols]
    assigned: asyncio.Queue[set[str]] = asyncio.Queue()
    consumer = Consumer(settings, topics, assigned=assigned.put_nowait, revoked=lambda _: None)
    await consumer.start()
    try:
        while await assigned.get() != set(topics):
            pass
        ends = {topic: offsets.end for topic, offsets in (await consumer.offsets(topics)).items()}
        cpu, clock = time.process_time(), time.perf_counter()
        for topic in topics:
            consumer.read_from(topic, 0)
        trades = await _read(consumer, ends, decode)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    finally:
        await consumer.stop()
    print(json.dumps({"cpu_s": cpu, "clock_s": clock, "trades": trades}))


async def _read(consumer: Consumer, ends: dict[str, int], decode: Callable[[bytes], Record]) -> int:
    trades = 0
    while ends:
        for topic, messages in (await consumer.poll()).items():
            for message in messages:
                record = decode(message.value)
                if type(record) is TradesRecord:
                    trades += len(record.trades.times)
            if messages[-1].offset + 1 >= ends[topic]:
                del ends[topic]
        await asyncio.sleep(0)  # as the processor's reader does
    return trades


if __name__ == "__main__":
    uvloop.run(main())
