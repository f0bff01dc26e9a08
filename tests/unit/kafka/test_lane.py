"""The lane of one topic, with a client that answers when the test says so; in virtual time."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from marketstream.kafka import lane as module
from marketstream.kafka.lane import MOST_RETRY_S, STALL_S, Lane, Outgoing
from structlog.testing import capture_logs

from tests.unit.virtual import VirtualClock, virtually

MOST = 1_000


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", VirtualClock)


class Client:
    """Takes records of a topic with a leader, each with a future that the test answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, asyncio.Future[None]]] = []
        self.broken: Exception | None = None
        self.attempts = 0
        self.client = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda _: 1))
        self._message_accumulator = SimpleNamespace(_batches={})

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


class Case:
    """A lane and the records that have come to their end: True if Kafka has acknowledged them."""

    def __init__(self) -> None:
        self.client = Client()
        self.ended: list[tuple[bytes, bool]] = []
        self.lane = Lane("topic", lambda: self.client, self._settle, MOST)

    def _settle(self, record: Outgoing, acknowledged: bool) -> None:
        record.answer.set_result(acknowledged)
        self.ended.append((record.value, acknowledged))

    async def add(self, *values: bytes) -> None:
        for value in values:
            await self.lane.add(Outgoing(value))

    async def acknowledge_all(self, limit_s: float = 60.0) -> None:
        """Acknowledge whatever is sent, until nothing is left."""
        async with asyncio.timeout(limit_s):
            while len(self.lane):
                for _, future in self.client.sent:
                    if not future.done():
                        future.set_result(None)
                await asyncio.sleep(0.01)


@virtually
async def test_records_pass_straight_to_the_client() -> None:
    case = Case()
    await case.add(b"1", b"2")
    assert case.client.values == [b"1", b"2"]
    await case.acknowledge_all()
    assert case.ended == [(b"1", True), (b"2", True)]


@virtually
async def test_records_whose_answer_was_lost_are_sent_again_in_order() -> None:
    case = Case()
    await case.add(*(b"%d" % number for number in range(5)))
    for _, future in reversed(case.client.sent):
        future.set_exception(KafkaTimeoutError())
    await asyncio.sleep(0)
    await case.add(b"5")
    case.client.sent.clear()
    await case.acknowledge_all()
    assert case.client.values == [b"%d" % number for number in range(6)]
    assert case.ended == [(b"%d" % number, True) for number in range(6)]
    assert case.lane.problem == ""


@virtually
async def test_a_refused_record_is_given_up_and_the_next_is_tried_later() -> None:
    case = Case()
    await case.add(b"large", b"next")
    case.client.sent[0][1].set_exception(MessageSizeTooLargeError())
    await asyncio.sleep(0)
    assert case.ended == [(b"large", False)]
    assert case.lane.problem
    await case.acknowledge_all()
    assert case.ended == [(b"large", False), (b"next", True)]


@virtually
async def test_a_topic_without_an_acknowledgement_is_stuck_and_sheds_its_oldest_waiting_records() -> None:
    case = Case()
    await case.add(b"0")
    await asyncio.sleep(STALL_S + 0.1)
    case.lane.watch()
    assert "no acknowledgement" in case.lane.problem
    await case.add(b"1", b"2", b"3")
    case.lane.shed(2, MOST)
    assert case.ended == [(b"1", False), (b"2", False)]
    await case.acknowledge_all()
    assert case.ended[2:] == [(b"0", True), (b"3", True)]


@virtually
async def test_an_unexpected_error_is_logged_and_tried_again_without_a_tight_loop() -> None:
    case = Case()
    await case.add(b"0")
    case.client.sent[0][1].set_exception(KafkaTimeoutError())
    case.client.broken = ValueError("a bug")
    with capture_logs() as lines:
        await asyncio.sleep(10 * MOST_RETRY_S)
        assert 3 <= case.client.attempts <= 12
        case.client.broken = None
        await case.acknowledge_all()
    assert case.ended == [(b"0", True)]
    assert any("unexpectedly" in line["event"] for line in lines)


@virtually
async def test_thousands_of_lost_answers_take_no_time() -> None:
    case = Case()
    case.lane._most_unanswered = 10**9
    await case.add(*(b"%d" % number for number in range(20_000)))
    for _, future in case.client.sent:
        future.set_exception(KafkaTimeoutError())
    async with asyncio.timeout(1):  # virtual: the callbacks themselves must not take seconds of the test
        await asyncio.sleep(0.1)
    assert [record.value for record in case.lane.records()] == [b"%d" % number for number in range(20_000)]
    case.lane.give_up()
    assert len(case.lane) == 0
