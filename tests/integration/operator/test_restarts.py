"""An operator that is killed at a random point of a reconcile and restarted ends with the same objects."""

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.life import STRIMZI, Objects, Supervised, is_write, made, quiet, release_lease, says, writes
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import DEPLOYMENTS, Cluster, until

SETTLED = 60.0
"""Seconds within which all objects must be as expected, including a start of the operator."""

FIRST = {"symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]}
PACKED = {**FIRST, "symbolsPerPair": 2}
LIVES: dict[str, list[dict[str, Any]]] = {
    "single": [FIRST, {"symbols": ["ETHUSDT", "ADAUSDT"], "producer": {"labels": {"team": "a"}}}],
    "packed": [PACKED, {"symbols": ["XRPUSDT", "ADAUSDT", "BTCUSDT", "DOTUSDT"], "retention": {"trades": "2h"}}],
}
"""The specs of a stream, one after the other."""

POINTS = [pytest.param(seed, marks=[pytest.mark.soak] if seed >= 5 else []) for seed in range(50)]


async def cluster_of(apiserver: ApiServer) -> Cluster:
    """Return a new namespace with a connection to servers that no test uses."""
    cluster = Cluster(apiserver, await apiserver.namespace())
    await cluster.connect("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    return cluster


async def bring(cluster: Cluster, spec: dict[str, Any], is_new: bool) -> None:
    if is_new:
        await cluster.stream("majors", **spec)
    else:
        await cluster.change("majors", **spec)


@pytest.fixture(scope="module")
async def undisturbed(
    apiserver: ApiServer, kinds: None, strimzi: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Objects, int]]]:
    """The objects and the number of writes after each spec of each life, without a fault."""
    found: dict[str, list[tuple[Objects, int]]] = {}
    for life, specs in LIVES.items():
        cluster = await cluster_of(apiserver)
        found[life] = []
        async with (
            Proxy(apiserver) as proxy,
            Supervised(tmp_path_factory.mktemp(life), proxy.kubeconfig(), cluster.namespace, **STRIMZI) as operator,
        ):
            await operator.leading()
            for number, spec in enumerate(specs):
                proxy.requests.clear()
                await bring(cluster, spec, number == 0)
                await until(partial(_is_told, cluster), SETTLED)
                await quiet(proxy, 1.0)
                found[life].append((await made(cluster), len(writes(proxy))))
        await apiserver.delete_namespace(cluster.namespace)
    return found


async def _is_told(cluster: Cluster) -> bool:
    """Return True if the status is that of the newest spec: it is written after everything else."""
    return ("SpecValid", "True", "Valid") in await says(cluster, "majors")


@pytest.mark.parametrize("seed", POINTS)
async def test_killed_at_a_random_point_it_ends_in_the_same_objects(
    apiserver: ApiServer,
    proxy: Proxy,
    undisturbed: dict[str, list[tuple[Objects, int]]],
    seed: int,
    tmp_path: Path,
) -> None:
    rng = Random(seed)
    life = rng.choice(list(LIVES))
    cluster = await cluster_of(apiserver)
    proxy.delay(0.02, "PATCH|POST|DELETE", "deployments|kafkatopics|marketstreams")  # so that some are under way
    async with Supervised(tmp_path, proxy.kubeconfig(), cluster.namespace, **STRIMZI) as operator:
        for number, (spec, (expected, count)) in enumerate(zip(LIVES[life], undisturbed[life], strict=True)):
            await operator.leading()
            proxy.requests.clear()
            point = rng.randint(1, count)
            await bring(cluster, spec, number == 0)
            await proxy.seen(is_write, point, limit=SETTLED)
            await operator.kill()
            await release_lease(cluster)
            await operator.start()

            async def as_expected(expected: Objects = expected) -> bool:
                return await made(cluster) == expected

            await until(as_expected, SETTLED)
            await cluster.says("majors", "SpecValid", "True", limit=SETTLED)
        await quiet(proxy, 1.0)
        assert await made(cluster) == expected
    await apiserver.delete_namespace(cluster.namespace)


async def test_children_are_known_whatever_other_tools_write_on_them(
    apiserver: ApiServer, kinds: None, strimzi: None, tmp_path: Path
) -> None:
    """Tilt overwrites app.kubernetes.io/managed-by. Children of every version have the labels that select them."""
    cluster = await cluster_of(apiserver)
    async with Supervised(tmp_path, apiserver.kubeconfig(), cluster.namespace, **STRIMZI) as operator:
        await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"])
        before = await cluster.has_deployments("majors", 4)
        await cluster.says("majors", "SpecValid", "True")
        await operator.end()
        for name in before:
            await cluster.patch(DEPLOYMENTS, name, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "tilt"}}})
        await cluster.change("majors", symbols=["BTCUSDT"])
        await operator.start()
        left = await cluster.has_deployments("majors", 2)  # the others are found, and pruned

        async def relabelled() -> bool:
            found = (await cluster.deployments("majors")).values()
            by = {each["metadata"]["labels"]["app.kubernetes.io/managed-by"] for each in found}
            return by == {"marketstream-operator"}

        await until(relabelled)
    now = await cluster.deployments("majors")
    assert {name: each["metadata"]["uid"] for name, each in now.items()} == {
        name: before[name]["metadata"]["uid"] for name in left
    }
    assert {each["metadata"]["generation"] for each in now.values()} == {1}, "a pod was rolled"
