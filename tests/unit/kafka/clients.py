"""A client of Kafka in the place of aiokafka's producer."""

import asyncio
from types import SimpleNamespace


class Client:
    """Takes records of a topic with a leader, each with a future that the test answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, asyncio.Future[None]]] = []
        self.broken: Exception | None = None
        self.attempts = 0
        self.client = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda _: 1))
        self._message_accumulator = SimpleNamespace(_batches={})
        self._sender = SimpleNamespace(sender_task=None, close=self._close)
        self.client.close = self._close

    @property
    def is_closed(self) -> bool:
        """True if the client failed or was closed."""
        return self._sender.sender_task is not None

    async def start(self) -> None: ...

    async def _close(self) -> None:
        self.fail()

    def fail(self) -> None:
        """End as aiokafka's client does after an error that it does not expect."""
        self._sender.sender_task = SimpleNamespace(done=lambda: True)

    async def send(self, _topic: str, value: bytes, partition: int) -> "asyncio.Future[None]":
        assert partition == 0
        self.attempts += 1
        if self.broken is not None:
            raise self.broken
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((value, future))
        return future

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    @property
    def values(self) -> list[bytes]:
        return [value for value, _ in self.sent]
