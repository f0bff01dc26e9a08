"""The topics as any other client sees them: their content, and ways to add records and to delete some."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from marketstream.codec import Record, TradesRecord, decode, encode
from marketstream.kafka.topics import topic_name

from tests.faults.exchange import NAME, RATES
from tests.harness.clients import within


class Topics:
    """The topics of all symbols, which `run` reads all the time."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._partitions = {symbol: TopicPartition(topic_name(prefix, NAME, symbol), 0) for symbol in RATES}
        self._symbols = {partition: symbol for symbol, partition in self._partitions.items()}
        self._last_offset: dict[str, dict[int, int]] = {symbol: {} for symbol in RATES}
        self._read_until = dict.fromkeys(RATES, 0)
        self._consumer: Any = None

    async def run(self) -> None:
        """Note the offset of each trade, until cancelled. The topics must exist."""
        while True:
            async with AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
            ) as self._consumer:
                self._consumer.assign(list(self._symbols))
                for symbol, partition in self._partitions.items():
                    self._consumer.seek(partition, self._read_until[symbol])
                try:
                    while True:
                        self._note(await self._consumer.getmany(timeout_ms=200))
                except KafkaError:
                    continue

    async def ends(self) -> dict[str, int]:
        """Return the offset of the next record of each symbol. Raises KafkaError."""
        offsets = await self._consumer.end_offsets(list(self._symbols))
        return {self._symbols[partition]: offset for partition, offset in offsets.items()}

    async def trade_ids(self) -> dict[str, set[int]]:
        """Return the ids of the trades in each topic."""
        ends = await self.ends()

        async def caught_up() -> None:
            assert all(self._read_until[symbol] >= end for symbol, end in ends.items()), "topics not read yet"

        await within(20, caught_up)
        begins = await self._consumer.beginning_offsets(list(self._symbols))
        return {
            symbol: {trade_id for trade_id, offset in self._last_offset[symbol].items() if offset >= begins[partition]}
            for symbol, partition in self._partitions.items()
        }

    async def publish(self, records: list[Record]) -> None:
        """Add records to the topics of their symbols, in this order."""
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all") as producer:
            sent = [
                await producer.send(self._partitions[record.symbol].topic, encode(record), partition=0)
                for record in records
            ]
            await asyncio.gather(*sent)

    async def lose(self, before: Mapping[str, int]) -> None:
        """Delete the records of each symbol before an offset, as retention does."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            await admin.delete_records(
                {self._partitions[symbol]: RecordsToDelete(before_offset=offset) for symbol, offset in before.items()}
            )
        finally:
            await admin.close()

    def _note(self, batches: Mapping[TopicPartition, list[Any]]) -> None:
        for partition, messages in batches.items():
            symbol = self._symbols[partition]
            for message in messages:
                record = decode(message.value)
                if isinstance(record, TradesRecord):
                    self._last_offset[symbol].update(dict.fromkeys(record.trades.all_ids(), message.offset))
                self._read_until[symbol] = message.offset + 1
