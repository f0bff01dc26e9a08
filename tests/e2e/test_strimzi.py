"""A short life of an installation with kafka.mode=strimzi, TLS, a login and least rights.

It tests all the wiring between the chart, the operator and Strimzi's objects. Strimzi's own operator takes part if its
chart was fetched, otherwise a stand-in.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.e2e import outside
from tests.e2e.kube import Kube, make_namespace, program, remove_namespaces, until
from tests.e2e.platform import (
    FIRST_CANDLE_S,
    NAME,
    RESOURCE,
    SETTLED_S,
    STREAM,
    SYMBOLS,
    Definition,
    Platform,
    base_values,
    chart_copy,
)
from tests.e2e.strimzi.standin import StandIn
from tests.e2e.truth import Twin
from tests.harness.needs import STRIMZI_CRDS, folder

pytestmark = pytest.mark.e2e

NAMESPACE: Final = "marketstream-e2e-strimzi"
BESIDE: Final = "marketstream-e2e-strimzi-outside"
ADDED: Final = "ADAUSDT"
TOPICS: Final = "kafkatopics.kafka.strimzi.io"
HEALED_S: Final = 180.0

DEFINITIONS: Final = str(folder(STRIMZI_CRDS))
"""The folder with Strimzi's definitions."""

VALUES: Final = {
    "kafka": {
        "mode": "strimzi",
        "strimzi": {
            "secure": True,
            "heap": "256m",
            "storage": {"size": "1Gi"},
            "resources": {"requests": {"cpu": "50m", "memory": "300Mi"}, "limits": {"memory": "1Gi"}},
            "entityOperatorResources": {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "384Mi"}},
        },
    }
}


@asynccontextmanager
async def definitions() -> AsyncIterator[None]:
    """Install Strimzi's definitions, unless the cluster has them."""
    there = await program("kubectl", "get", "customresourcedefinitions", "-o", "name")
    if "kafkas.kafka.strimzi.io" in there:
        yield
        return
    try:
        await program("kubectl", "apply", "--server-side", "-f", DEFINITIONS)
        established = ("kubectl", "wait", "--for=condition=Established", "-f", DEFINITIONS, "--timeout=60s")
        await until(lambda: program(*established, limit=70), 60)  # kubectl fails while they have no status
        yield
    finally:
        await program("kubectl", "delete", "-f", DEFINITIONS, "--timeout=60s", limit=70)


@asynccontextmanager
async def stand_in(kube: Kube) -> AsyncIterator[StandIn]:
    """Run the stand-in for Strimzi's operator."""
    async with definitions():
        standing = StandIn(kube)
        task = asyncio.create_task(standing.keep())
        try:
            yield standing
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture(scope="module")
async def platform(
    cluster: str, namespaces: list[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Create the namespaces, with the exchange and Strimzi or its stand-in."""
    namespaces += [NAMESPACE, BESIDE]
    await remove_namespaces(namespaces)
    crd = await Definition.found(NAMESPACE)
    kube, beside = await make_namespace(NAMESPACE, {}), await make_namespace(BESIDE, {})
    twin = Twin([*SYMBOLS, ADDED], seed=12, rate=20.0)
    await beside.apply(*outside.exchange(twin.arguments))
    await outside.is_up(beside, outside.EXCHANGE)
    chart, is_real = await chart_copy(tmp_path_factory.mktemp("chart"))
    print("Strimzi's operator" if is_real else "a stand-in for Strimzi's operator")
    values = base_values(BESIDE) | VALUES | {"strimzi": {"enabled": is_real}}
    platform = Platform(kube, beside, twin, chart, crd, values)
    if is_real:
        async with platform.watching():
            yield platform
    else:
        async with stand_in(kube), platform.watching():
            yield platform


@pytest.fixture(autouse=True)
async def _nothing_false_was_seen(platform: Platform) -> AsyncIterator[None]:
    yield
    platform.watch.assert_well()


async def test_the_release_installs_and_kafka_is_ready(platform: Platform) -> None:
    took = await platform.install()
    await platform.kube.run("wait", f"kafka/{NAME}", "--for=condition=Ready", "--timeout=300s", limit=310)
    print(f"helm install to all ready: {took:.1f} s")


async def test_the_first_candle_is_stored(platform: Platform) -> None:
    began = time.monotonic()
    await platform.apply()
    took = await platform.first_candle(SYMBOLS[0], began)
    print(f"kubectl apply to the first candle in PostgreSQL: {took:.1f} s")
    await platform.settled()
    assert took < FIRST_CANDLE_S
    assert len(await platform.kube.list(TOPICS, f"marketstream.io/stream={STREAM}")) == len(SYMBOLS)


async def test_a_symbol_is_added_and_every_candle_is_exact(platform: Platform) -> None:
    before = await platform.stream_pods()
    platform.symbols.append(ADDED)
    await platform.apply()
    await platform.first_candle(ADDED, time.monotonic())
    await platform.settled()
    assert before.keys() < (await platform.stream_pods()).keys(), "pods of the other symbols were replaced"
    took = await platform.watch.healed(platform.symbols, HEALED_S)
    print(f"all complete and exact after {took:.1f} s")


async def test_a_stranger_does_not_reach_kafka(platform: Platform) -> None:
    assert await platform.knock((f"{NAME}-kafka-bootstrap", 9093)) == {f"{NAME}-kafka-bootstrap": "refused"}


async def test_the_release_is_uninstalled_and_nothing_is_stuck(platform: Platform) -> None:
    await platform.kube.run("delete", RESOURCE, STREAM, "--wait", "--timeout=60s", limit=70)

    async def gone() -> bool:
        return not await platform.stream_pods() and not await platform.kube.list(TOPICS)

    await until(gone, SETTLED_S, "pods or topics of a deleted stream are left")
    began = time.monotonic()
    await platform.helm("uninstall", NAME, "--wait", "--timeout=120s")
    await platform.crd.remove()
    await remove_namespaces([NAMESPACE, BESIDE])
    print(f"uninstalled and the namespaces deleted in {time.monotonic() - began:.1f} s")
