"""The recorder of Events, against Events in memory. integration/operator/test_events.py uses a real API server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from marketstream_operator.kinds import EVENT, Kind
from marketstream_operator.kube.api import ApiError, ConflictError, NotFoundError, NotLeadingError
from marketstream_operator.kube.events import ATTEMPTS, BURST, MESSAGE_LIMIT, MOST_WAITING, REFILL_S, Recorder, _name

from tests.unit.virtual import VirtualClock, virtually

ABOUT = {"apiVersion": "v1", "kind": "Pod", "namespace": "ns", "name": "majors", "uid": "u1"}


class Server:
    """Events by name, and the number of requests."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.requests = 0
        self.errors: list[Exception] = []

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._ask(kind, namespace)
        name = body["metadata"]["name"]
        if name in self.events:
            raise ConflictError("exists already", 409)
        self.events[name] = dict(body)
        return self.events[name]

    async def merge(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._ask(kind, namespace)
        if name not in self.events:
            raise NotFoundError("no such event", 404)
        self.events[name].update(body)
        return self.events[name]

    async def _ask(self, kind: Kind, namespace: str) -> None:
        assert (kind, namespace) == (EVENT, "ns")
        self.requests += 1
        await asyncio.sleep(0.01)
        if self.errors:
            raise self.errors.pop(0)

    def counts(self) -> dict[str, int]:
        return {event["message"]: event["count"] for event in self.events.values()}


@contextlib.asynccontextmanager
async def recording(server: Server) -> AsyncIterator[Recorder]:
    """Run a recorder within this context."""
    recorder = Recorder(server, "marketstream-operator", "pod-0", clock=VirtualClock.monotonic)  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
        assert not task.done(), "the recorder has ended"
    finally:
        task.cancel()
        await asyncio.wait([task])


@virtually
async def test_what_is_said_again_is_the_same_event_with_a_higher_count() -> None:
    server = Server()
    async with recording(server) as recorder:
        for _ in range(3):
            recorder.record(ABOUT, "Warning", "KafkaAway", "no broker answers")
            await asyncio.sleep(1)
        recorder.record(ABOUT, "Normal", "Ready", "2 of 2 pairs are ready")
        await asyncio.sleep(1)
    assert server.counts() == {"no broker answers": 3, "2 of 2 pairs are ready": 1}
    assert server.requests == 4


@virtually
async def test_what_is_said_again_before_it_was_sent_is_sent_once() -> None:
    server = Server()
    async with recording(server) as recorder:
        for _ in range(5):
            recorder.record(ABOUT, "Normal", "Ready", "yes")
        await asyncio.sleep(1)
    assert server.counts() == {"yes": 5}
    assert server.requests == 1


@virtually
async def test_a_new_process_counts_on() -> None:
    server = Server()
    for count in (1, 2, 3):
        async with recording(server) as recorder:
            recorder.record(ABOUT, "Normal", "Ready", "yes")
            await asyncio.sleep(1)
        assert server.counts() == {"yes": count}


@virtually
async def test_an_event_that_the_server_has_forgotten_begins_anew() -> None:
    server = Server()
    async with recording(server) as recorder:
        for _ in range(2):
            recorder.record(ABOUT, "Normal", "Ready", "yes")
            await asyncio.sleep(1)
        server.events.clear()
        recorder.record(ABOUT, "Normal", "Ready", "yes")
        await asyncio.sleep(1)
    assert server.counts() == {"yes": 1}


@virtually
async def test_of_too_many_for_one_object_and_reason_the_rest_only_counts_until_later() -> None:
    server = Server()
    other = {**ABOUT, "uid": "u2"}
    async with recording(server) as recorder:
        for _ in range(100):
            recorder.record(ABOUT, "Warning", "KafkaAway", "no broker answers")
            await asyncio.sleep(0.1)
        assert server.requests == BURST
        recorder.record(ABOUT, "Normal", "Ready", "yes")
        recorder.record(other, "Warning", "KafkaAway", "no broker answers here either")
        await asyncio.sleep(1)
        assert server.requests == BURST + 2
        await asyncio.sleep(REFILL_S)
        recorder.record(ABOUT, "Warning", "KafkaAway", "no broker answers")
        await asyncio.sleep(1)
    assert server.counts()["no broker answers"] == 101
    assert server.requests == BURST + 3


@virtually
async def test_a_failure_that_may_pass_is_tried_again_and_another_is_not() -> None:
    server = Server()
    async with recording(server) as recorder:
        server.errors = [ApiError("no answer"), ApiError("slow down", 429, retry_after_s=7), ApiError("500", 500)]
        recorder.record(ABOUT, "Normal", "Ready", "yes")
        await asyncio.sleep(30)
        assert server.counts() == {"yes": 1}
        for error in (ApiError("forbidden", 403), NotLeadingError("no")):
            server.requests, server.errors = 0, [error]
            recorder.record(ABOUT, "Normal", "Ready", "yes")
            await asyncio.sleep(30)
            assert server.requests == 1
        server.requests, server.errors = 0, [ApiError("no answer")] * 100
        recorder.record(ABOUT, "Normal", "Ready", "yes")
        await asyncio.sleep(300)
        assert server.requests == ATTEMPTS
        server.errors.clear()
        recorder.record(ABOUT, "Normal", "Ready", "yes")
        await asyncio.sleep(1)
    assert server.counts() == {"yes": 5}, "what could not be sent was counted"


@virtually
async def test_more_than_can_wait_is_dropped() -> None:
    server = Server()
    async with recording(server) as recorder:
        for number in range(MOST_WAITING + 50):
            recorder.record({**ABOUT, "uid": str(number)}, "Normal", "Ready", "yes")
        await asyncio.sleep(60)
    assert len(server.events) == MOST_WAITING


@pytest.mark.parametrize("name", ["a", "x" * 253, "x" * 235 + "." + "y" * 17, "trades.binance.btcusdt"])
def test_names_are_dns_names(name: str) -> None:
    made = _name({**ABOUT, "name": name}, "Normal", "Ready", "yes")
    assert len(made) <= 253
    assert made.startswith(name[:235])
    assert all(part and part[0].isalnum() and part[-1].isalnum() for part in made.split("."))


@virtually
async def test_a_long_message_is_cut_between_letters() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ABOUT, "Warning", "Invalid", "a" + "币" * 1000)
        await asyncio.sleep(1)
    (event,) = server.events.values()
    assert event["message"] == "a" + "币" * 341
    assert len(event["message"].encode()) <= MESSAGE_LIMIT
