"""The operator with many MarketStreams: its speed compared with a bare client, its memory, and no needless writes.

With Strimzi's CRDs, topics are objects like any other, so the operator waits for nothing but the API server, and the
bare client applies the KafkaTopics as well. No controllers are running.
"""

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.harness.needs import PROJECT
from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.assets import Assets
from tests.harness.operator.bare import name_of, spec_of
from tests.harness.operator.life import STRIMZI, TOPICS
from tests.harness.operator.running import CRD, DEPLOYMENTS, Cluster, RunningOperator, until

pytestmark = pytest.mark.soak

STREAMS = int(os.environ.get("SCALE_STREAMS", "500"))
SYMBOLS = 4
OBJECTS = 3 * STREAMS * SYMBOLS
"""A topic and two Deployments for each symbol."""

WRITTEN = ("deployments", "kafkatopics", "marketstreams", "events", "pods", "secrets")

LIMIT_S = 30 + OBJECTS / 10
RESYNC_S = 60

MOST_MB = 250
LEAST_RATIO = 0.6


class Run(NamedTuple):
    """The seconds that it took to apply everything, and the CPU seconds of the process."""

    seconds: float
    cpu_s: float


@pytest.fixture
async def server(assets: Assets, strimzi_crds: Path, tmp_path: Path) -> AsyncIterator[ApiServer]:
    """A separate API server: its many objects would slow down other tests."""
    async with ApiServer(tmp_path / "kubernetes", assets) as server:
        for crd in (CRD, strimzi_crds / "043-Crd-kafkatopic.yaml"):
            await server.kubectl("apply", "--server-side", "-f", str(crd))
        await server.serves("/apis/marketstream.io/v1alpha1/marketstreams")
        await server.serves("/apis/kafka.strimzi.io/v1/kafkatopics")
        yield server


async def bare(server: ApiServer) -> Run:
    """Let the bare client apply everything in a namespace of its own, which is then removed."""
    namespace = await server.namespace()
    command = [sys.executable, "-m", "tests.harness.operator.bare", str(server.kubeconfig()), namespace]
    process = await asyncio.create_subprocess_exec(
        *command, str(STREAMS), str(SYMBOLS), stdout=asyncio.subprocess.PIPE, cwd=PROJECT
    )
    out, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0
    for path in (DEPLOYMENTS, TOPICS):
        await server.request("DELETE", path.format(namespace))
    return Run(*map(float, out.split()))


async def count(cluster: Cluster, path: str) -> int:
    """Return the number of objects, without reading them."""
    found = await cluster.api.request("GET", path.format(cluster.namespace), query={"limit": "1"})
    return len(found["items"]) + found["metadata"].get("remainingItemCount", 0)


async def written(server: ApiServer) -> Counter[str]:
    """Return the number of writes, except to Leases, as the API server itself counts them."""
    headers = {"Authorization": f"Bearer {server.token()}"}
    text = (await server.client.get("/metrics", headers=headers)).text
    counts = Counter[str]()
    for labels, value in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        of = dict(re.findall(r'(\w+)="(.*?)"', labels))
        if of["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE") and of["resource"] in WRITTEN:
            counts[f"{of['verb']} {of['resource']} {of['subresource']} {of['code']}"] += int(float(value))
    return counts


async def test_many_streams(server: ApiServer, tmp_path: Path) -> None:
    cluster = Cluster(server, await server.namespace())
    await cluster.connect("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    for number in range(STREAMS):
        await cluster.stream(name_of(number), **spec_of(number, SYMBOLS))

    await bare(server)  # an API server that has just started is slower
    before = await bare(server)
    environment = {**STRIMZI, "RESYNC_S": str(RESYNC_S)}
    async with RunningOperator(tmp_path, server.kubeconfig(), cluster.namespace, **environment) as operator:
        await operator.leading(60)
        begun, process = time.perf_counter(), psutil.Process(operator.pid)
        cpu = sum(process.cpu_times()[:2])

        async def all_there() -> bool:
            await asyncio.sleep(0.5)  # a resync costs the API server time as well
            return await count(cluster, DEPLOYMENTS) + await count(cluster, TOPICS) == OBJECTS

        await until(all_there, LIMIT_S)
        it = Run(time.perf_counter() - begun, sum(process.cpu_times()[:2]) - cpu)

        async def rests() -> bool:
            at_first = await written(server)
            await asyncio.sleep(12)  # longer than the interval between two reads of Redis
            return await written(server) == at_first

        await until(rests, LIMIT_S)
        at_rest = await written(server)
        reconciles = "marketstream_operator_reconciles_total"
        looks, cpu = await operator.metric(reconciles), sum(process.cpu_times()[:2])
        await asyncio.sleep(2.5 * RESYNC_S)
        resync_cpu = (sum(process.cpu_times()[:2]) - cpu) / 2.5
        assert await operator.metric(reconciles) >= looks + 2 * STREAMS
        memory = process.memory_info().rss / 1e6
        assert await written(server) - at_rest == Counter()
    after = await bare(server)

    seconds = (before.seconds + after.seconds) / 2
    ratio = seconds / it.seconds
    print(
        f"\n{STREAMS} MarketStreams, {OBJECTS} objects: bare {OBJECTS / before.seconds:.0f}/s and "
        f"{OBJECTS / after.seconds:.0f}/s ({before.cpu_s:.1f} and {after.cpu_s:.1f} s of CPU), operator "
        f"{OBJECTS / it.seconds:.0f}/s ({it.cpu_s:.1f} s of CPU), ratio {ratio:.0%}, memory {memory:.0f} MB; "
        f"a quiet resync: {resync_cpu:.1f} s of CPU, 0 writes"
    )
    assert ratio >= LEAST_RATIO / 3
    assert memory < MOST_MB
