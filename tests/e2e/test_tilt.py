"""A release with the labels that Tilt writes: it overwrites them in the selectors of the NetworkPolicies, too."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import yaml

from tests.e2e import outside
from tests.e2e.kube import is_ready, make_namespace, remove_namespaces, until
from tests.e2e.platform import (
    INSTALL_S,
    NAME,
    RESOURCE,
    STREAM,
    SYMBOLS,
    Definition,
    Platform,
    base_values,
    chart_copy,
    external_kafka,
)
from tests.e2e.truth import Twin
from tests.harness.tiltlabels import as_applied

pytestmark = pytest.mark.e2e

NAMESPACE: Final = "marketstream-e2e-tilt"
BESIDE: Final = "marketstream-e2e-tilt-outside"
HEALED_S: Final = 180.0
PODS: Final = 5
"""Pods of the release: two operators, the API, PostgreSQL and Redis."""


@pytest.fixture(scope="module")
async def platform(
    cluster: str, namespaces: list[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Create the namespaces, with the exchange and Kafka."""
    namespaces += [NAMESPACE, BESIDE]
    await remove_namespaces(namespaces)
    crd = await Definition.found(NAMESPACE)
    kube, beside = await make_namespace(NAMESPACE, {}), await make_namespace(BESIDE, {})
    twin = Twin([*SYMBOLS], seed=13, rate=20.0)
    await beside.apply(*outside.exchange(twin.arguments), *outside.kafka(BESIDE))
    await outside.is_up(beside, outside.EXCHANGE, outside.KAFKA)
    chart, _ = await chart_copy(tmp_path_factory.mktemp("chart"))
    platform = Platform(kube, beside, twin, chart, crd, base_values(BESIDE) | external_kafka(BESIDE))
    async with platform.watching():
        yield platform


@pytest.fixture(scope="module")
async def objects(platform: Platform) -> list[Any]:
    """Return the objects of the release as Tilt applies them."""
    rendered = await platform.helm("template", NAME, str(platform.chart), "--skip-tests", values=platform.values)
    return as_applied(each for each in yaml.safe_load_all(rendered) if each)


async def run(platform: Platform, objects: list[Any], *command: str) -> None:
    """Run a command of kubectl on the objects."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await platform.kube.run(*command, "-f", "-", stdin=listed, limit=120)


async def test_a_stream_runs_and_strangers_stay_out(platform: Platform, objects: list[Any]) -> None:
    await run(platform, objects, "apply", "--server-side", "--force-conflicts")

    async def is_up() -> bool:
        pods = await platform.kube.pods(f"app.kubernetes.io/instance={NAME},app.kubernetes.io/managed-by=tilt")
        return len(pods) == PODS and all(map(is_ready, pods.values()))

    await until(is_up, INSTALL_S, "the release is not ready")
    began = time.monotonic()
    await until(lambda: _applied(platform), 30, "the definition is not served")
    print(f"first candle after {await platform.first_candle(SYMBOLS[0], began):.1f} s")
    await platform.settled()
    await platform.watch.healed(platform.symbols, HEALED_S)
    platform.watch.assert_well()
    assert await platform.knock((f"{NAME}-postgresql", 5432)) == {f"{NAME}-postgresql": "refused"}


async def _applied(platform: Platform) -> bool:
    await platform.apply()
    return True


async def test_it_is_removed(platform: Platform, objects: list[Any]) -> None:
    await platform.kube.run("delete", RESOURCE, STREAM, "--wait", "--timeout=60s", limit=70)
    await run(platform, [each for each in objects if each["kind"] != "CustomResourceDefinition"], "delete")
    await platform.crd.remove()
    await remove_namespaces([NAMESPACE, BESIDE])
