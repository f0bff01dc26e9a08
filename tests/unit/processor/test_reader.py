import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from marketstream.kafka.consumer import Consumer
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.processor import reader
from marketstream.processor.holdings import Holdings
from marketstream.processor.reader import read_records

from tests.unit.processor.owners import Message, at, counted, heartbeat, owner, record

TOPIC = owner().topic


class Kafka:
    """Returns the given batches one by one, and then fails. Notes the topics that are paused and resumed."""

    def __init__(self, *batches: dict[str, list[Message]]) -> None:
        self._batches = iter(batches)
        self.calls: list[tuple[str, list[str]]] = []

    async def poll(self) -> dict[str, list[Message]]:
        batch = next(self._batches, None)
        if batch is None:
            raise BrokerUnavailableError("no more batches")
        return batch

    def pause(self, topics: Iterable[str]) -> None:
        self.calls.append(("pause", list(topics)))

    def resume(self, topics: Iterable[str]) -> None:
        self.calls.append(("resume", list(topics)))


async def read(holdings: Holdings, kafka: Kafka) -> None:
    with pytest.raises(BrokerUnavailableError):
        await read_records(holdings, cast("Consumer", kafka))


def messages(*records: bytes, first: int = 0) -> list[Message]:
    return [Message(first + index, value) for index, value in enumerate(records)]


async def test_records_of_owned_topics_are_applied_and_closed_windows_ask_for_a_commit() -> None:
    holdings, owned = Holdings(), owner()
    holdings.own(owned)
    await read(holdings, Kafka({TOPIC: messages(record(at(1, 0.5)))}))
    owned.take()
    holdings.wants_commit.clear()
    await read(holdings, Kafka({TOPIC: messages(record(at(2, 0.6)), first=1)}))
    assert (counted(owned), holdings.wants_commit.is_set()) == ([(1, 2)], False)
    await read(holdings, Kafka({TOPIC: messages(heartbeat(3), first=2)}))
    assert holdings.wants_commit.is_set()


async def test_records_of_topics_that_are_not_owned_are_left_to_their_owner() -> None:
    holdings, owned = Holdings(), owner()
    await read(holdings, Kafka({TOPIC: messages(record(at(1, 0.5)))}))
    holdings.own(owned)
    assert (counted(owned), owned.position) == ([], 0)


async def test_a_topic_is_paused_while_too_many_candles_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_PENDING", 2)
    holdings, owned = Holdings(), owner()
    holdings.own(owned)
    trades = [record(at(n, n + 0.5)) for n in range(1, 5)]

    class Committing(Kafka):
        async def poll(self) -> dict[str, list[Message]]:
            if self.calls == [("pause", [TOPIC])]:
                await asyncio.sleep(0)
                owned.take()
            return await super().poll()

    kafka = Committing({TOPIC: messages(*trades, heartbeat(9))}, {}, {})
    await read(holdings, kafka)
    assert kafka.calls == [("pause", [TOPIC]), ("resume", [TOPIC])]


async def test_a_topic_that_is_revoked_while_it_is_paused_is_not_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_PENDING", 0)
    holdings, owned = Holdings(), owner()
    holdings.own(owned)

    class Revoking(Kafka):
        async def poll(self) -> dict[str, list[Message]]:
            if self.calls:
                holdings.revoke([TOPIC])
            return await super().poll()

    kafka = Revoking({TOPIC: messages(record(at(1, 0.5)), heartbeat(9))}, {}, {})
    await read(holdings, kafka)
    assert kafka.calls == [("pause", [TOPIC])]
