"""The operator, while the API server restarts, refuses requests, forgets old versions or falls silent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.life import STRIMZI, TOPICS, Supervised, made, quiet, writes
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import CRD, STREAMS, Cluster, RunningOperator, until

START_S = 60.0
SEEN_S = 15.0
"""Seconds until the operator has acted on a change: three times the goal."""


@pytest.fixture
async def operator(
    connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> AsyncIterator[Supervised]:
    """An operator that resyncs rarely, and so depends on its watches."""
    environment = {**STRIMZI, "RESYNC_S": "300"}
    async with Supervised(tmp_path, proxy.kubeconfig(), connected_to_nobody.namespace, **environment) as operator:
        await operator.leading(START_S)
        yield operator


@pytest.fixture
async def majors(connected_to_nobody: Cluster, operator: Supervised) -> Cluster:
    """An operator with a stream that is complete."""
    await connected_to_nobody.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await connected_to_nobody.has_deployments("majors", 4)
    await connected_to_nobody.says("majors", "SpecValid", "True")
    return connected_to_nobody


def outcry(operator: RunningOperator) -> list[object]:
    """Return the log lines of an operator that would alert somebody: errors and tracebacks."""
    return [line for line in operator.log() if line.get("level") in ("error", "critical") or "exception" in line]


async def acts(cluster: Cluster, limit: float = SEEN_S) -> None:
    """Check that the operator acts on changes of MarketStreams and of children that only its watches report."""
    await cluster.change("majors", symbols=["BTCUSDT", "ETHUSDT", "SOLUSDT"])
    found = await cluster.has_deployments("majors", 6, limit)
    await cluster.delete("/apis/apps/v1/namespaces/{}/deployments", next(iter(found)))
    await cluster.has_deployments("majors", 6, limit)


async def test_a_short_restart_of_the_api_server_is_outlived(
    apiserver: ApiServer, majors: Cluster, operator: Supervised
) -> None:
    """An outage shorter than the lease: the same process continues."""
    pid = operator.pid
    await apiserver.stop_server()
    await asyncio.sleep(1)
    await apiserver.start_server()

    async with operator.kept_running():
        await acts(majors, limit=START_S)
    if not operator.ends:  # the API server may take longer to start than the lease lasts
        assert operator.pid == pid
    assert set(operator.ends) <= {3}
    assert outcry(operator) == []


async def test_a_long_restart_of_the_api_server_ends_it_and_the_next_goes_on(
    apiserver: ApiServer, majors: Cluster, operator: Supervised
) -> None:
    """The lease cannot be renewed: the process ends with code 3, is restarted and waits for the API server."""

    async def has_ended() -> bool:
        return operator.ends == [3]

    async def waits() -> bool:
        return any(line["event"] == "discovery of kinds failed, will retry" for line in operator.log())

    async with operator.kept_running():
        await apiserver.stop_server()
        await until(has_ended, 3 * 10)
        await until(waits, START_S)
        await apiserver.start_server()
        await operator.leading(START_S)
        await acts(majors)
    assert outcry(operator) == []


async def test_cut_connections_are_made_anew(majors: Cluster, operator: Supervised, proxy: Proxy) -> None:
    assert proxy.cut() >= 3
    for _ in range(4):
        await asyncio.sleep(0.2)
        proxy.cut()
    await acts(majors)
    assert outcry(operator) == []


async def test_watches_that_are_too_old_are_made_anew(majors: Cluster, operator: Supervised, proxy: Proxy) -> None:
    for _ in range(3):
        for plural in ("/marketstreams", "/deployments", "/pods", "/kafkatopics"):
            await until(lambda plural=plural: _expired(proxy, plural), SEEN_S)
    await acts(majors)
    assert outcry(operator) == []


async def _expired(proxy: Proxy, plural: str) -> int:
    return proxy.expire(plural)


async def test_a_definition_that_is_deleted_and_applied_again_is_watched_again(
    apiserver: ApiServer, majors: Cluster, operator: Supervised
) -> None:
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/marketstreams.marketstream.io"

    async def is_gone() -> bool:
        return definition.rpartition("/")[2] not in [one["metadata"]["name"] for one in await apiserver.definitions()]

    try:
        await apiserver.request("DELETE", definition)
        await until(is_gone)
        await operator.says("kinds not served by the API server yet, will retry", SEEN_S)
    finally:
        await until(is_gone)
        await apiserver.kubectl("apply", "-f", str(CRD))
        await apiserver.serves("/apis/marketstream.io/v1alpha1/marketstreams")
    await majors.stream("minors", ["ADAUSDT"])
    await majors.has_deployments("minors", 2, SEEN_S)
    await majors.change("minors", symbols=["ADAUSDT", "XRPUSDT"])
    await majors.has_deployments("minors", 4, SEEN_S)
    assert outcry(operator) == []


@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_writes_that_are_refused_are_repeated(
    majors: Cluster, operator: Supervised, proxy: Proxy, status: int
) -> None:
    retry_after = 2 if status == 429 else None
    for path in ("/deployments/", "/kafkatopics/", "/status$"):
        proxy.answer(status, "PATCH", path, count=3, retry_after=retry_after)
    await acts(majors, limit=2 * SEEN_S)
    assert outcry(operator) == []


async def test_the_pause_that_the_api_server_asks_for_is_kept(
    majors: Cluster, operator: Supervised, proxy: Proxy
) -> None:
    with proxy.answer(429, "PATCH", "/kafkatopics/", count=1, retry_after=5):
        await majors.change("majors", symbols=["SOLUSDT"])
        (refused,) = await proxy.seen(lambda request: request.status == 429)

    async def has_its_topic() -> bool:
        return "kafkatopics/trades.simulator.solusdt" in await made(majors, TOPICS)

    await until(has_its_topic, SEEN_S)
    others = [request.at - refused.at for request in writes(proxy) if request.at > refused.at]
    assert not [after for after in others if 3 < after < 5]  # ends the watches under way
    assert [after for after in others if after >= 5]


async def test_answers_that_are_lost_change_nothing(majors: Cluster, operator: Supervised, proxy: Proxy) -> None:
    """The server has written but its answer is lost: a second write changes nothing."""
    for path in ("/deployments/", "/kafkatopics/", "/status$"):
        proxy.lose("PATCH", path, count=2)
    proxy.lose("DELETE", "/deployments/", count=1)
    await majors.change("majors", symbols=["SOLUSDT", "ADAUSDT"])

    async def pruned() -> bool:
        return sorted({name.split("-")[1] for name in await majors.deployments()}) == ["adausdt", "solusdt"]

    await until(pruned, 2 * SEEN_S)
    assert outcry(operator) == []


async def test_lists_and_watches_that_are_refused_are_repeated(
    majors: Cluster, operator: Supervised, proxy: Proxy
) -> None:
    """A burst of refusals while connections break, as after a restart of the API server."""
    refusals = [proxy.answer(status, "GET", "deployments|pods|marketstreams|kafkatopics") for status in (500,)]
    proxy.cut()
    await asyncio.sleep(5)
    for refusal in refusals:
        refusal.lift()
    await acts(majors, limit=START_S)
    assert outcry(operator) == []


async def test_what_a_stuck_watch_does_not_tell_is_found_by_the_next_look(
    connected_to_nobody: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    cluster, environment = connected_to_nobody, {**STRIMZI, "RESYNC_S": "5"}
    async with RunningOperator(tmp_path, proxy.kubeconfig(), cluster.namespace, **environment) as operator:
        await operator.leading(START_S)
        await cluster.stream("majors", ["BTCUSDT"])
        await cluster.has_deployments("majors", 2)
        assert await operator.metric("marketstream_operator_watch_missed_total") == 0
        proxy.freeze(watch=True)

        await cluster.change("majors", symbols=["BTCUSDT", "ETHUSDT"])

        await cluster.has_deployments("majors", 4, START_S)
        assert await operator.metric("marketstream_operator_watch_missed_total") >= 1
        await operator.says("resync found changes that the watches missed")
        assert outcry(operator) == []


async def test_the_children_of_a_stream_whose_end_no_watch_has_told_are_not_made_again(
    apiserver: ApiServer, majors: Cluster, proxy: Proxy
) -> None:
    """Otherwise the operator and the garbage collector would work against each other until the next resync."""
    async with apiserver.controller_manager("garbage-collector-controller"):
        proxy.freeze("GET", "/marketstreams$", watch=True)
        await quiet(proxy, 2.0)
        proxy.requests.clear()
        await majors.delete(STREAMS, "majors")

        async def none() -> bool:
            return not await made(majors)

        await until(none, 3 * 30)  # the collector discovers new kinds every 30 s
        await quiet(proxy, 2.0)
        assert await made(majors) == {}
        assert len([request for request in writes(proxy) if request.status == 201]) <= 1


@pytest.mark.soak
async def test_a_stuck_watch_is_made_anew(majors: Cluster, operator: Supervised, proxy: Proxy) -> None:
    """The operator abandons a silent connection after 70 s: the API server sends a bookmark each minute."""
    await proxy.seen(lambda request: request.watch, 4)
    with proxy.freeze(watch=True):
        before = sum(request.watch for request in proxy.requests)
        await proxy.seen(lambda request: request.watch, before + 4, limit=3 * 70)
    await acts(majors)
    assert outcry(operator) == []
