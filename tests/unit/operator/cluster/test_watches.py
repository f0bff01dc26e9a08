"""The watches: what kopf is told to watch, where its events go, and how it is restarted."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import kopf
import pytest
from kubernetes.aio.client.configuration import Configuration
from marketstream_operator.cluster import watches
from marketstream_operator.cluster.projections import stream_of
from marketstream_operator.cluster.watches import Watches
from marketstream_operator.kinds import DEPLOYMENT, MARKET_STREAM, POD, Kind

from tests.unit.operator.cluster.raw import child, projection, stream

LIMIT_S = 10.0


class Recorded:
    """An informer that records the events it is given."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def stream_event(self, *arguments: Any) -> None:
        self.events.append(("stream", *arguments))

    def child_event(self, *arguments: Any) -> None:
        self.events.append(("child", *arguments))

    def child_lost(self, *arguments: Any) -> None:
        self.events.append(("lost", *arguments))


async def known() -> None:
    """Stand for a wait until the API server serves the kinds."""


def watching(informer: Recorded, *kinds: Kind, namespaces: tuple[str, ...] | None = ("markets",)) -> Watches:
    return Watches(informer, Configuration(host="https://there:6443"), namespaces, kinds, known)  # type: ignore[arg-type]


async def reported(kind: Kind, type_: str | None, raw: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return what a watch event reports to the informer."""
    informer = Recorded()

    def report(method: Callable[..., None], *arguments: Any) -> None:
        method(*arguments)

    (handler,) = watching(informer, kind)._handlers(report)._watching.get_all_handlers()
    assert await handler.fn(event={"type": type_, "object": raw}) is None, "kopf would write it into the status"
    return informer.events


@pytest.mark.parametrize(("type_", "is_deleted"), [(None, False), ("MODIFIED", False), ("DELETED", True)])
async def test_an_event_of_a_market_stream_is_reported(type_: str | None, is_deleted: bool) -> None:
    raw = stream("old", uid="o")
    assert await reported(MARKET_STREAM, type_, raw) == [("stream", is_deleted, stream_of(raw))]


@pytest.mark.parametrize("type_", [None, "ADDED", "MODIFIED"])
async def test_an_event_of_an_object_of_a_stream_is_reported(type_: str | None) -> None:
    assert await reported(POD, type_, child()) == [("child", POD, projection(POD, child()))]


async def test_an_object_that_was_deleted_or_has_ended_or_lost_its_label_is_lost() -> None:
    lost = [("lost", POD, "markets", "pod", "1")]
    unlabelled = child()
    del unlabelled["metadata"]["labels"]
    assert await reported(POD, "DELETED", child()) == lost
    assert await reported(POD, "MODIFIED", child(status={"phase": "Failed"})) == lost
    assert await reported(POD, "MODIFIED", unlabelled) == lost


class Kopf:
    """Stands for kopf.operator: its first run fails, its second runs until it is stopped."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.runs_again = threading.Event()
        self.has_stopped = False

    async def operator(self, **arguments: Any) -> None:
        self.runs.append(arguments)
        if len(self.runs) == 1:
            raise RuntimeError("a watch that is final for kopf")
        self.runs_again.set()
        await asyncio.to_thread(arguments["stop_flag"].wait, LIMIT_S)
        self.has_stopped = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Kopf:
    fake = Kopf()
    monkeypatch.setattr(kopf, "operator", fake.operator)
    monkeypatch.setattr(watches, "delays", lambda *_: iter([0.0] * 10))
    return fake


async def test_kopf_is_restarted_when_it_fails_and_stopped_with_the_watches(fake: Kopf) -> None:
    task = asyncio.create_task(watching(Recorded(), POD).run())
    assert await asyncio.to_thread(fake.runs_again.wait, LIMIT_S)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT_S)
    assert task.cancelled()
    assert fake.has_stopped
    assert len(fake.runs) == 2


@pytest.mark.parametrize(("namespaces", "clusterwide"), [(("one", "two"), False), (None, True)])
async def test_kopf_watches_only_what_it_is_told(
    fake: Kopf, namespaces: tuple[str, ...] | None, clusterwide: bool
) -> None:
    task = asyncio.create_task(watching(Recorded(), DEPLOYMENT, MARKET_STREAM, namespaces=namespaces).run())
    assert await asyncio.to_thread(fake.runs_again.wait, LIMIT_S)
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT_S)
    run = fake.runs[0]
    assert (run["namespaces"], run["clusterwide"], run["standalone"]) == (namespaces or (), clusterwide, True)
    # All Deployments of a cluster would be too many; MarketStreams carry no label of the operator's.
    selectors = run["settings"].watching.label_selectors
    selected = {(each.group, each.version, each.any_name): labels for each, labels in selectors.items()}
    assert selected == {DEPLOYMENT[:3]: "marketstream.io/stream"}
    assert not run["settings"].posting.enabled
