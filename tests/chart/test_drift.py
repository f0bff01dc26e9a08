"""Applied objects are what was rendered: no field is dropped by the API server, and a second apply changes nothing.

GitOps tools compare the two. A field that the API server drops would be a difference for ever.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helm import EXTERNAL, Helm, HelmError, Object, only
from tests.chart.matrix import MATRIX
from tests.chart.release import Release
from tests.harness.operator.apiserver import ApiServer

CRD = "marketstreams.marketstream.io"


def lost(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields that were set and are not in what the API server has."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from lost(value, found[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: {json.dumps(value)} was dropped"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (each, there) in enumerate(zip(wanted, found, strict=True)):
            yield from lost(each, there, f"{path}[{index}]")
    elif wanted != found:
        yield f"{path}: {json.dumps(wanted)} became {json.dumps(found)}"


def name(each: Object) -> str:
    return f"{each['kind']} {each['metadata']['name']}"


async def applied(apiserver: ApiServer, objects: list[Object]) -> list[Object]:
    """Apply the objects and return them as the API server has them."""
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    text = await apiserver.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", "-o", "json", input=json.dumps(listed)
    )
    found = json.loads(text)
    return found["items"] if found["kind"] == "List" else [found]  # kubectl returns a single object as it is


@pytest.mark.parametrize("case", [case for case in MATRIX if case != "everything off"])
async def test_nothing_is_dropped_and_a_second_apply_changes_nothing(
    apiserver: ApiServer, strimzi: None, others: None, namespace: str, helm: Helm, case: str
) -> None:
    given = MATRIX[case]
    values = [value.replace("{test,other}", f"{{{namespace},default}}") for value in given.get("values", ())]
    objects = helm.render(*values, "crds.enabled=false", files=given.get("files", ()), namespace=namespace)
    first = await applied(apiserver, objects)
    assert [each["metadata"]["name"] for each in first] == [each["metadata"]["name"] for each in objects]
    changed = [line for each, found in zip(objects, first, strict=True) for line in lost(each, found, name(each))]
    assert changed == []
    again = await applied(apiserver, objects)
    versions = [[each["metadata"].get("generation") for each in state] for state in (first, again)]
    assert versions[0] == versions[1]


async def test_nothing_of_the_definition_is_dropped(apiserver: ApiServer, helm: Helm) -> None:
    crd = only(helm.render(), "CustomResourceDefinition")
    try:
        (found,) = await applied(apiserver, [crd])
        assert list(lost(crd, found, name(crd))) == []
    finally:
        await apiserver.kubectl("delete", "crd", CRD, "--timeout=30s")


async def test_an_upgrade_without_a_change_changes_no_object(release: Release, strimzi: None) -> None:
    values = ("crds.enabled=false", "strimzi.enabled=false")

    async def generations() -> dict[str, int]:
        resources = (
            "networking.k8s.io/v1/networkpolicies", "apps/v1/deployments", "apps/v1/statefulsets",
            "kafka.strimzi.io/v1/kafkas", "kafka.strimzi.io/v1/kafkanodepools", "policy/v1/poddisruptionbudgets",
        )  # fmt: skip
        return {
            f"{resource} {each['metadata']['name']}": each["metadata"]["generation"]
            for resource in resources
            for each in await release.listed(resource)
        }

    release.install(*values)
    before = await generations()
    assert len(before) > 10
    release.upgrade(*values)
    release.upgrade(*values)
    assert await generations() == before


async def test_the_definition_of_another_release_is_taken_over_on_request(
    apiserver: ApiServer, helm: Helm, namespace: str
) -> None:
    first, second = (Release(apiserver, helm, namespace, name) for name in ("one", "two"))
    try:
        first.install(*EXTERNAL)
        first.uninstall()
        with pytest.raises(HelmError, match="cannot be imported into the current release"):
            second.install(*EXTERNAL)
        second.run("install", "--take-ownership", values=EXTERNAL)
        crd = json.loads(await apiserver.kubectl("get", "crd", CRD, "-o", "json"))
        assert crd["metadata"]["annotations"]["meta.helm.sh/release-name"] == "two"
    finally:
        await apiserver.kubectl("delete", "crd", CRD, "--timeout=30s")
