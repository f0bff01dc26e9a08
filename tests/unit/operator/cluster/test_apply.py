"""Writes of objects: when they are due, and which of several are still made when one fails."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from marketstream_operator.cluster.apply import PARALLEL_WRITES, Applier, write_all
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Deployment
from marketstream_operator.kinds import DEPLOYMENT, Kind
from marketstream_operator.kube.api import ApiError, ConflictError, NotLeadingError

from tests.unit.operator.cluster.raw import OLD, child, projection


class Writes:
    """Writes, some of which fail."""

    def __init__(self, count: int, **failing: Exception) -> None:
        self.begun: list[int] = []
        self.most = self.under_way = 0
        self._count, self._failing = count, failing

    def __iter__(self) -> Iterator[Callable[[], Awaitable[None]]]:
        return (self._write(number) for number in range(self._count))

    def _write(self, number: int) -> Callable[[], Awaitable[None]]:
        async def write() -> None:
            self.begun.append(number)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(0)
            self.under_way -= 1
            if error := self._failing.get(f"n{number}"):
                raise error

        return write


async def test_a_few_are_under_way_at_the_same_time() -> None:
    writes = Writes(50)
    await write_all(writes)
    assert sorted(writes.begun) == list(range(50))
    assert writes.most == PARALLEL_WRITES


@pytest.mark.parametrize("status", [400, 403, 409, 422])
async def test_one_that_is_refused_keeps_no_other_from_being_made(status: int) -> None:
    writes = Writes(50, n0=ApiError("refused", status), n7=ConflictError("changed", 409))
    with pytest.raises(ApiError, match="refused"):
        await write_all(writes)
    assert len(writes.begun) == 50


@pytest.mark.parametrize(
    "error", [ApiError("no answer"), ApiError("throttled", 429), ApiError("broken", 500), NotLeadingError("lost")]
)
async def test_no_more_are_begun_when_none_can_be_made(error: Exception) -> None:
    writes = Writes(50, n3=error)
    with pytest.raises(type(error)):
        await write_all(writes)
    assert len(writes.begun) <= 2 * PARALLEL_WRITES


async def test_a_bug_is_no_failure_of_the_api() -> None:
    with pytest.raises(ExceptionGroup):
        await write_all(Writes(3, n1=KeyError("bug")))


class Server:
    """Applies objects as the API server does: it gives them a uid and a version, and records who manages fields."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.drops_labels = False
        self._versions = itertools.count(1)

    async def apply(self, _kind: Kind, _namespace: str, _name: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(body)
        return self.shown(body)

    def shown(self, body: dict[str, Any], fields: str = "f:replicas", uid: str = "u1") -> dict[str, Any]:
        entry = {"manager": "marketstream-operator", "operation": "Apply", "fieldsV1": {"f:spec": {fields: {}}}}
        metadata = {**body["metadata"], "uid": uid, "resourceVersion": str(next(self._versions))}
        if self.drops_labels:
            del metadata["labels"]
        return {**body, "metadata": {**metadata, "managedFields": [entry]}}


def applying() -> tuple[Applier, Server, Observed]:
    server, observed = Server(), Observed()
    return Applier(server, observed, "markets/one"), server, observed  # type: ignore[arg-type]


def wanted(digest: str = "d1") -> dict[str, Any]:
    body = child("majors-producer")
    annotations = {**body["metadata"]["annotations"], "marketstream.io/digest": digest}
    metadata = {"name": "majors-producer", "namespace": "markets", "labels": body["metadata"]["labels"]}
    return {"metadata": {**metadata, "annotations": annotations, "generation": 1}, "spec": {"replicas": 1}}


def deployment(raw: dict[str, Any]) -> Deployment:
    found = projection(DEPLOYMENT, raw)
    assert isinstance(found, Deployment)
    return found


async def test_what_was_written_is_not_due_until_it_or_what_it_is_made_from_changes() -> None:
    applier, server, observed = applying()
    assert applier.is_due(DEPLOYMENT, None, "d1")
    await applier.apply(DEPLOYMENT, wanted(), None)
    (live,) = observed.deployments(OLD)
    assert not applier.is_due(DEPLOYMENT, live, "d1")
    assert applier.is_due(DEPLOYMENT, live, "d2")
    changed_by_others = deployment(server.shown(wanted(), fields="f:paused"))
    assert applier.is_due(DEPLOYMENT, changed_by_others, "d1")
    made_anew_by_others = deployment(server.shown(wanted(), uid="u2"))
    assert applier.is_due(DEPLOYMENT, made_anew_by_others, "d1")


async def test_a_new_process_writes_once_what_it_finds() -> None:
    applier, server, observed = applying()
    live = deployment(server.shown(wanted()))
    assert applier.is_due(DEPLOYMENT, live, "d1")
    await applier.apply(DEPLOYMENT, wanted(), live)
    assert server.sent[0]["metadata"]["resourceVersion"] == str(live.version), "a newer object would be overwritten"
    assert not applier.is_due(DEPLOYMENT, observed.deployments(OLD)[0], "d1")


async def test_what_was_forgotten_is_due() -> None:
    applier, _, observed = applying()
    await applier.apply(DEPLOYMENT, wanted(), None)
    applier.forget(DEPLOYMENT, "markets", "majors-producer")
    assert applier.is_due(DEPLOYMENT, observed.deployments(OLD)[0], "d1")


async def test_an_object_without_the_applied_labels_is_an_error() -> None:
    applier, server, observed = applying()
    server.drops_labels = True
    with pytest.raises(ApiError, match="dropped the applied labels"):
        await applier.apply(DEPLOYMENT, wanted(), None)
    assert observed.deployments(OLD) == []
