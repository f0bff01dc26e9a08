"""The lane of one topic, with a client that answers when the test says so; in virtual time."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from marketstream.kafka import lane as module
from marketstream.kafka.lane import MOST_RETRY_S, STALL_S, Lane, Outgoing
from structlog.testing import capture_logs

from tests.unit.kafka.clients import Client
from tests.unit.virtual import VirtualClock, virtually

MOST = 1_000


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", VirtualClock)


class Case:
    """A lane and the records that have come to their end: True if Kafka has acknowledged them."""

    def __init__(self) -> None:
        self.client = Client()
        self.ended: list[tuple[bytes, bool]] = []
        self.turns: list[bool] = []
        self.lane = Lane(
            "topic", lambda: self.client, self._settle, lambda lane: self.turns.append(bool(lane.problem)), MOST
        )

    def _settle(self, _: Lane, record: Outgoing, acknowledged: bool) -> None:
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
    assert case.turns == [True, False]


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
async def test_records_added_after_an_unexpected_error_do_not_shorten_its_pause() -> None:
    case = Case()
    await case.add(b"first", b"0")
    case.client.sent[1][1].set_exception(KafkaTimeoutError())
    case.client.broken = ValueError("a bug")
    added = [b"%d" % number for number in range(1, 500)]
    for number, value in enumerate(added):
        await asyncio.sleep(MOST_RETRY_S / 50)
        await case.add(value)
        if number == 20:
            case.client.sent[0][1].set_result(None)  # Kafka is well, but the bug is still there
    assert 3 <= case.client.attempts <= 14
    case.client.broken = None
    await case.acknowledge_all()
    assert case.ended == [(value, True) for value in (b"first", b"0", *added)]


@virtually
async def test_a_record_that_fails_while_an_earlier_one_is_taken_back_stays_behind_it() -> None:
    case = Case()
    await case.add(b"0")
    hand_over = case.client.send

    async def fails_once(topic: str, value: bytes, partition: int) -> "asyncio.Future[None]":
        case.client.send = hand_over
        case.client.sent[0][1].set_exception(KafkaTimeoutError())
        await asyncio.sleep(0)
        raise KafkaTimeoutError

    case.client.send = fails_once
    await case.add(b"1")
    assert [record.value for record in case.lane.records()] == [b"0", b"1"]
    await case.acknowledge_all()
    assert case.ended == [(b"0", True), (b"1", True)]


@pytest.mark.parametrize("is_waiting", [False, True])
@virtually
async def test_a_record_whose_sender_gave_up_takes_no_room(is_waiting: bool) -> None:
    case = Case()
    case.client.broken = ValueError("a bug")
    record = Outgoing(b"0")
    if is_waiting:
        case.lane.problem = "stuck"
        await case.lane.add(record)
    else:
        with pytest.raises(ValueError, match="a bug"):
            await case.lane.add(record)
    case.lane.forget(record)
    assert case.ended == [(b"0", False)]
    assert case.lane.size == 0
    case.lane.give_up()


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
