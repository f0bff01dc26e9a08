"""Two replicas of the operator: one reconciles, and the other watches and takes over.

A leader that was halted overwrites nothing when it wakes.
"""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.life import STRIMZI, Supervised, is_write, made, quiet, writes
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import DEPLOYMENTS, Cluster, until

START_S = 60.0
TAKEN_OVER_S = 3 * 20.0


class Replica:
    """An operator with a proxy of its own, which records its writes."""

    def __init__(self, operator: Supervised, proxy: Proxy) -> None:
        self.operator = operator
        self.proxy = proxy


@pytest.fixture
async def replicas(
    apiserver: ApiServer, connected_to_nobody: Cluster, strimzi: None, tmp_path: Path
) -> AsyncIterator[tuple[Replica, Replica]]:
    """The leader and the follower."""
    environment = {**STRIMZI, "RESYNC_S": "5"}
    async with AsyncExitStack() as stack:
        both = []
        for _ in range(2):
            proxy = await stack.enter_async_context(Proxy(apiserver))
            operator = Supervised(tmp_path, proxy.kubeconfig(), connected_to_nobody.namespace, **environment)
            await stack.enter_async_context(operator)
            await operator.says("reconciling started" if not both else "another replica holds the lease", START_S)
            both.append(Replica(operator, proxy))
        yield both[0], both[1]


async def has_made(cluster: Cluster, *symbols: str, limit: float = START_S) -> None:
    async def it_has() -> bool:
        return {name.split("-")[1].upper() for name in await cluster.deployments()} == set(symbols)

    await until(it_has, limit)


async def test_both_watch_and_only_the_leader_writes(
    connected_to_nobody: Cluster, replicas: tuple[Replica, Replica]
) -> None:
    leader, follower = replicas
    await connected_to_nobody.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await has_made(connected_to_nobody, "BTCUSDT", "ETHUSDT")
    await connected_to_nobody.change("majors", symbols=["ETHUSDT"])
    await has_made(connected_to_nobody, "ETHUSDT")

    for replica in replicas:  # the follower may start slowly
        await replica.proxy.seen(lambda request: request.watch, 4, limit=START_S)
        watched = {request.resource.plural for request in replica.proxy.requests if request.watch}
        assert watched == {"marketstreams", "deployments", "pods", "kafkatopics"}
    assert len(writes(leader.proxy)) >= 8
    assert writes(follower.proxy) == []
    assert follower.proxy.mutating() == []  # not even to the Lease, which another holds


async def test_a_leader_that_is_killed_is_replaced(
    connected_to_nobody: Cluster, replicas: tuple[Replica, Replica]
) -> None:
    leader, follower = replicas
    await connected_to_nobody.stream("majors", ["BTCUSDT"])
    await has_made(connected_to_nobody, "BTCUSDT")

    await leader.operator.kill()
    begun = time.monotonic()
    await connected_to_nobody.change("majors", symbols=["BTCUSDT", "ETHUSDT"])
    await has_made(connected_to_nobody, "BTCUSDT", "ETHUSDT", limit=TAKEN_OVER_S)
    print(f"\na killed leader is replaced, and a change acted on, after {time.monotonic() - begun:.1f} s (goal: 20)")
    await follower.operator.says("reconciling started")


async def test_a_leader_that_is_stopped_is_replaced_at_once(
    connected_to_nobody: Cluster, replicas: tuple[Replica, Replica]
) -> None:
    leader, follower = replicas
    begun = time.monotonic()
    assert await leader.operator.end(signal.SIGTERM) == 0
    await follower.operator.says("reconciling started", 3 * 5)
    print(f"\na stopped leader has ended, and is replaced, after {time.monotonic() - begun:.1f} s (goal: 5)")


async def test_a_leader_that_was_halted_and_wakes_overwrites_nothing(
    connected_to_nobody: Cluster, replicas: tuple[Replica, Replica]
) -> None:
    """It is halted amid writes. Requests that it has sent arrive long after another leader has changed the objects."""
    cluster, (leader, follower) = connected_to_nobody, replicas
    await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await has_made(cluster, "BTCUSDT", "ETHUSDT")
    await quiet(leader.proxy, 2.0)
    leader.proxy.requests.clear()
    held = leader.proxy.freeze("PATCH", "/deployments/")
    await cluster.change("majors", producer={"labels": {"team": "of-the-first"}})
    await leader.proxy.seen(lambda request: is_write(request) and request.resource.plural == "deployments", 2)
    leader.operator.send(signal.SIGSTOP)

    await cluster.change("majors", producer={"labels": {"team": "of-the-second"}})
    await follower.operator.says("reconciling started", TAKEN_OVER_S)
    await until(lambda: _teams(cluster, {"of-the-second"}), START_S)
    await quiet(follower.proxy, 2.0)
    before = await _versions(cluster)
    sent = len(writes(leader.proxy))
    held.lift()
    # Wait for a write, not for a resync that happens to come in between.
    late = await leader.proxy.seen(
        lambda request: is_write(request) and request.resource.plural == "deployments" and request.status, 2
    )
    leader.operator.send(signal.SIGCONT)

    assert await leader.operator.end(0, limit=30) == 3
    assert {request.status for request in late} == {409}
    assert len(writes(leader.proxy)) == sent  # the requests from before the halt, and no others
    assert await _versions(cluster) == before


async def test_what_a_halted_leader_has_made_too_late_is_put_right(
    connected_to_nobody: Cluster, replicas: tuple[Replica, Replica]
) -> None:
    """A creation carries no version, so it may arrive after another leader has pruned the object.

    The next resync deletes the object.
    """
    cluster, (leader, follower) = connected_to_nobody, replicas
    held = leader.proxy.freeze("PATCH", "/deployments/")
    await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await leader.proxy.seen(lambda request: is_write(request) and request.resource.plural == "deployments", 4)
    leader.operator.send(signal.SIGSTOP)

    await cluster.change("majors", symbols=["ETHUSDT"], producer={"labels": {"team": "of-the-second"}})
    await follower.operator.says("reconciling started", TAKEN_OVER_S)
    await has_made(cluster, "ETHUSDT")
    await until(lambda: _teams(cluster, {"of-the-second"}), START_S)
    await quiet(follower.proxy, 2.0)
    right = await made(cluster)
    held.lift()
    await leader.proxy.seen(lambda request: request.resource.plural == "deployments" and request.status == 201, 2)
    leader.operator.send(signal.SIGCONT)

    async def put_right() -> bool:
        return await made(cluster) == right

    await until(put_right, START_S)
    assert await leader.operator.end(0, limit=30) == 3
    assert await made(cluster) == right


async def _teams(cluster: Cluster, wanted: set[str]) -> bool:
    producers = [each for name, each in (await cluster.deployments()).items() if name.endswith("producer")]
    return {each["spec"]["template"]["metadata"]["labels"].get("team") for each in producers} == wanted


async def _versions(cluster: Cluster) -> dict[str, Any]:
    found = (await cluster.get(DEPLOYMENTS))["items"]
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found}
