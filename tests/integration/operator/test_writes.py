"""The operator writes only with a reason, and undoes edits of its own fields."""

from pathlib import Path
from typing import Any

from tests.harness.operator.life import quiet, writes
from tests.harness.operator.playing import Market, heard, settle
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import DEPLOYMENTS, Cluster, until
from tests.integration.operator.conftest import Operate

RESYNCS = 2
RESYNC_S = 5
TAKEN_BACK_S = 15.0
"""Seconds; 5 on a machine that is not busy with other tests."""


async def test_quiet_resyncs_write_nothing_but_the_lease(
    connected: Cluster, operate: Operate, proxy: Proxy, redis_url: str
) -> None:
    """Ten streams with quantities that the API server rewrites, and with trades that arrive all the time."""
    running = await operate(proxy.kubeconfig(), RESYNC_S=str(RESYNC_S))
    rewritten = {"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "0.5e1"}}}
    symbols = [f"S{number}" for number in range(10)]
    for number, symbol in enumerate(symbols):
        await connected.stream(f"stream-{number}", [symbol], producer=rewritten)
    for number in range(10):
        await connected.has_deployments(f"stream-{number}", 2)
    await settle(connected)
    async with heard(redis_url, *symbols):
        for number in range(10):
            await connected.says(f"stream-{number}", "Ready", "True")
            await connected.says(f"stream-{number}", "Fresh", "True")
        await quiet(proxy, 2.0)  # Events follow the status
        before = await connected.deployments()
        looks = await running.metric("marketstream_operator_reconciles_total")
        proxy.requests.clear()
        # The start of the next resync proves the end of those. After each one, every stream is reconciled.
        await proxy.seen(lambda request: request.path.endswith("/deployments") and not request.watch, RESYNCS + 1, 90)

        async def all_looked_at() -> bool:
            return await running.metric("marketstream_operator_reconciles_total") >= looks + 10 * RESYNCS

        await until(all_looked_at)
    assert [str(request) for request in writes(proxy)] == []
    assert await connected.deployments() == before


async def test_an_edit_of_what_the_operator_has_set_is_taken_back(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    name = next(iter(await market.has_deployments("majors", 2)))
    before = (await market.get(DEPLOYMENTS, name))["spec"]
    await market.api.kubectl("-n", market.namespace, "scale", f"deployment/{name}", "--replicas=3")
    await is_again(market, name, before)
    container = before["template"]["spec"]["containers"][0]
    edited = {**container, "image": "theirs", "env": [], "args": ["sleep"]}
    await market.patch(DEPLOYMENTS, name, {"spec": {"template": {"spec": {"containers": [edited]}}}})
    await is_again(market, name, before)
    await market.patch(DEPLOYMENTS, name, {"metadata": {"ownerReferences": None, "annotations": None}})

    async def owned() -> bool:
        meta = (await market.get(DEPLOYMENTS, name))["metadata"]
        return bool(meta.get("ownerReferences")) and "marketstream.io/symbols" in meta.get("annotations", {})

    await until(owned, TAKEN_BACK_S)


async def is_again(cluster: Cluster, name: str, spec: Any) -> None:
    async def it_is() -> bool:
        return bool((await cluster.get(DEPLOYMENTS, name))["spec"] == spec)

    await until(it_is, TAKEN_BACK_S)


async def test_a_child_that_is_deleted_comes_back(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    name = next(iter(await market.has_deployments("majors", 2)))
    await market.delete(DEPLOYMENTS, name)
    await market.has_deployments("majors", 2)


async def test_what_others_add_stays(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    name = next(iter(await market.has_deployments("majors", 2)))
    added = {
        "metadata": {"labels": {"team": "quotes"}, "annotations": {"example.com/note": "kept"}},
        "spec": {
            "template": {
                "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}},
                "spec": {"containers": [{"name": "sidecar", "image": "mesh"}]},
            }
        },
    }
    path = f"{DEPLOYMENTS.format(market.namespace)}/{name}"
    await market.api.request("PATCH", path, added, content_type="application/strategic-merge-patch+json")
    await market.change("majors", producer={"logLevel": "debug"}, processor={"logLevel": "debug"})

    async def changed() -> Any:
        found = await market.get(DEPLOYMENTS, name)
        containers = {one["name"]: one for one in found["spec"]["template"]["spec"]["containers"]}
        own = next(one for one in containers.values() if one["name"] != "sidecar")
        return found if {"name": "LOG_LEVEL", "value": "debug"} in own["env"] else None

    found = await until(changed)
    assert found["metadata"]["labels"]["team"] == "quotes"
    assert found["metadata"]["annotations"]["example.com/note"] == "kept"
    template = found["spec"]["template"]
    assert template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] == "2026-01-01T00:00:00Z"
    assert "sidecar" in [one["name"] for one in template["spec"]["containers"]]


async def test_a_restart_of_the_operator_changes_nothing(connected: Cluster, operate: Operate, tmp_path: Path) -> None:
    first = await operate()
    await connected.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await connected.has_deployments("majors", 4)
    await connected.says("majors", "Ready", "False", "NotAllReady")
    await first.end()
    before = await connected.deployments()
    second = await operate()

    async def has_looked() -> bool:
        return await second.metric("marketstream_operator_reconciles_total") >= 2

    await until(has_looked)
    assert await connected.deployments() == before
