"""The start, the health and the end of the operator."""

import signal
import time
from pathlib import Path

import httpx

from tests.harness.operator.life import STRIMZI
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import Cluster, RunningOperator, until


async def ask(operator: RunningOperator, path: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10) as client:
        return await client.get(f"http://127.0.0.1:{operator.port}{path}")


async def test_sigterm_ends_it_within_seconds_and_gives_the_lease_back(connected: Cluster, tmp_path: Path) -> None:
    async with RunningOperator(tmp_path, connected.api.kubeconfig(), connected.namespace) as operator:
        await operator.leading()
        await connected.stream("majors", ["BTCUSDT"])
        await connected.has_deployments("majors", 2)

        begun = time.monotonic()
        code = await operator.end(signal.SIGTERM)

        assert code == 0
        assert time.monotonic() - begun < 3 * 5
        said = [line["event"] for line in operator.log() if line.get("level") not in ("info", "debug")]
        assert said == []
        # The next leads at once: there is no holder whose lease must expire first.
        await operator.start()
        await operator.leading()
        assert "another replica holds the lease" not in [line["event"] for line in operator.log()]


async def test_sigterm_ends_a_follower_within_seconds(connected: Cluster, tmp_path: Path) -> None:
    kubeconfig = connected.api.kubeconfig()
    async with RunningOperator(tmp_path, kubeconfig, connected.namespace) as leader:
        await leader.leading()
        async with RunningOperator(tmp_path, kubeconfig, connected.namespace) as follower:
            await follower.says("another replica holds the lease")
            assert (await ask(follower, "/readyz")).status_code == 200
            assert await follower.metric("marketstream_operator_leader") == 0

            begun = time.monotonic()
            assert await follower.end(signal.SIGTERM) == 0
            assert time.monotonic() - begun < 3 * 5
        assert await leader.metric("marketstream_operator_leader") == 1


async def test_sigterm_ends_it_while_the_api_server_does_not_answer(
    connected: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    async with RunningOperator(tmp_path, proxy.kubeconfig(), connected.namespace) as operator:
        await operator.leading()
        with proxy.freeze():
            begun = time.monotonic()
            assert await operator.end(signal.SIGTERM, limit=30) == 0
            assert time.monotonic() - begun < 3 * 5


async def test_its_health_is_served_before_anything_else(connected: Cluster, tmp_path: Path) -> None:
    """Without an API server, the operator waits: it is alive but not ready."""
    kubeconfig = connected.api.kubeconfig_for("https://127.0.0.1:1")
    async with RunningOperator(tmp_path, kubeconfig, connected.namespace) as operator:

        async def alive() -> bool:
            return (await ask(operator, "/healthz")).status_code == 200

        await until(alive, 30)
        assert (await ask(operator, "/readyz")).status_code == 503
        await operator.says("discovery of kinds failed, will retry")
        assert await operator.end(signal.SIGTERM) == 0


async def test_it_is_ready_and_counts_what_it_does(connected: Cluster, tmp_path: Path) -> None:
    async with RunningOperator(tmp_path, connected.api.kubeconfig(), connected.namespace) as operator:
        await operator.leading()
        await connected.stream("majors", ["BTCUSDT"])
        await connected.says("majors", "SpecValid", "True")

        ready = await ask(operator, "/readyz")
        assert (ready.status_code, ready.text) == (200, "ok\n")
        assert await operator.metric("marketstream_operator_leader") == 1
        assert await operator.metric("marketstream_operator_reconciles_total") >= 1
        assert await operator.metric("marketstream_operator_reconcile_seconds_count") >= 1
        assert await operator.metric("marketstream_operator_api_requests_total") >= 5

        async def idle() -> bool:  # its watches may still be reporting its own writes
            return await operator.metric("marketstream_operator_queue_depth") == 0

        await until(idle)


async def test_it_is_not_ready_when_it_cannot_look_at_everything(
    cluster: Cluster, strimzi: None, proxy: Proxy, tmp_path: Path
) -> None:
    environment = {**STRIMZI, "RESYNC_S": "5"}
    async with RunningOperator(tmp_path, proxy.kubeconfig(), cluster.namespace, **environment) as operator:
        await operator.leading()

        with proxy.answer(403, "GET", "/pods$", watch=False):

            async def not_ready() -> bool:
                return "no resync has succeeded" in (await ask(operator, "/readyz")).text

            await until(not_ready, 90)
            assert (await ask(operator, "/readyz")).status_code == 503
            assert (await ask(operator, "/healthz")).status_code == 200  # a restart would not help

        async def ready() -> bool:
            return (await ask(operator, "/readyz")).status_code == 200

        await until(ready, 60)
