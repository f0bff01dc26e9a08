"""The publisher's account of unacknowledged records, and the replacement of a client that failed; in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, ValuesView
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from marketstream.kafka import lane, publisher
from marketstream.kafka.lane import STALL_S, Lane
from marketstream.kafka.publisher import Publisher
from marketstream.settings import Settings, SettingsError

from tests.unit.kafka.clients import Client
from tests.unit.virtual import VirtualClock, seconds_until, virtually

MOST = 100
SETTINGS = Settings(kafka_bootstrap="kafka:9092")


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lane, publisher):
        monkeypatch.setattr(module, "time", VirtualClock)


def publisher_with(client: Client) -> Publisher:
    opened = Publisher(SETTINGS, most_unacknowledged=MOST)
    opened._client = client
    return opened


class Uncounted(dict[str, Lane]):
    """Topics that nobody may visit one by one."""

    def values(self) -> ValuesView[Lane]:
        raise AssertionError("all topics visited for one record")


@virtually
async def test_a_record_costs_the_same_however_many_topics_there_are() -> None:
    client = Client()
    opened = publisher_with(client)
    await opened.send("ill", b"0")
    client.sent[0][1].set_exception(KafkaTimeoutError())
    await asyncio.sleep(0)
    assert list(opened.stuck()) == ["ill"]
    topics, opened._lanes = opened._lanes, Uncounted(opened._lanes)
    for number in range(3 * MOST):
        await opened.send("ill", b"%d" % number)
        await opened.send("well", b"%d" % number)
        client.sent[-1][1].set_result(None)
        await asyncio.sleep(0)
    assert opened.unacknowledged == len(topics["ill"]) == MOST
    topics["ill"].give_up()
    assert opened.unacknowledged == 0


@pytest.mark.parametrize("seed", range(20))
@virtually
async def test_the_account_of_stuck_topics_is_that_of_their_records(seed: int) -> None:
    rng, client = Random(seed), Client()
    opened = publisher_with(client)
    for _ in range(500):
        step = rng.random()
        if step < 0.6 and not opened._is_full():
            await opened.send(rng.choice("abc"), bytes(rng.randrange(1, 50)))
        elif step < 0.9:
            answer(client, rng)
        else:
            await asyncio.sleep(rng.random() * 10)
            for each in opened._lanes.values():
                each.watch()
        await asyncio.sleep(0)
        stuck = [each for each in opened._lanes.values() if each.problem]
        assert opened._stuck_topics == len(stuck)
        assert opened._stuck_records == sum(len(each.records()) for each in stuck)
        assert opened._stuck_bytes == sum(len(record.value) for each in stuck for record in each.records())
        assert opened.unacknowledged == sum(len(each.records()) for each in opened._lanes.values())
    for each in opened._lanes.values():
        each.give_up()
    assert (opened._records, opened._bytes) == (0, 0)
    assert (opened._stuck_records, opened._stuck_bytes) == (0, 0)


def answer(client: Client, rng: Random) -> None:
    """Acknowledge or refuse a record."""
    open_answers: list[Any] = [future for _, future in client.sent if not future.done()]
    if open_answers:
        future = rng.choice(open_answers)
        future.set_exception(KafkaTimeoutError()) if rng.random() < 0.3 else future.set_result(None)


@asynccontextmanager
async def started(monkeypatch: pytest.MonkeyPatch, open_: Callable[[], Client]) -> AsyncIterator[Publisher]:
    """Run a publisher whose clients `open_` opens."""
    monkeypatch.setattr(publisher, "AIOKafkaProducer", lambda **_: open_())
    running = Publisher(SETTINGS, most_unacknowledged=MOST)
    await running.start()
    try:
        yield running
    finally:
        await running.close(0)


@virtually
async def test_topics_are_watched_while_a_failed_client_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [Client()]

    def open_() -> Client:
        client = clients[-1]
        if client.is_closed:
            raise SettingsError("KAFKA_CA_FILE is gone")
        return client

    async with started(monkeypatch, open_) as running:
        clients[0].fail()
        for number in range(2 * MOST):  # with a limit: each would wait forever
            async with asyncio.timeout(3 * STALL_S):
                await running.send("ill", b"%d" % number)
        assert list(running.stuck()) == ["ill"]
        clients.append(Client())
        await seconds_until(lambda: clients[-1].sent, 120)
        assert clients[-1].values[0] == b"%d" % MOST, "the oldest records were given up"


@virtually
async def test_an_error_in_a_check_does_not_end_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, failures = Lane.watch, iter([ValueError("a bug")])

    def fails_once(lane: Lane) -> None:
        for error in failures:
            raise error
        watch(lane)

    monkeypatch.setattr(Lane, "watch", fails_once)
    async with started(monkeypatch, Client) as running:
        await running.send("ill", b"0")
        await seconds_until(lambda: list(running.stuck()) == ["ill"], 3 * STALL_S)
