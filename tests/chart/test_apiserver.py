"""The chart on a real Kubernetes API.

Every object is accepted, by the definitions of other operators too. Pods meet the restricted standard. Passwords and
data outlive upgrades and the release.
"""

import json

import httpx
import pytest

from tests.chart.helm import EXTERNAL, Helm, Object, only, pod_templates
from tests.chart.matrix import MATRIX
from tests.chart.release import Release
from tests.harness.operator.apiserver import ApiServer

RESTRICTED = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
HERE = ("crds.enabled=false", *EXTERNAL)
"""Values that allow several releases, because the definition can belong to only one."""


@pytest.fixture
async def restricted(apiserver: ApiServer, namespace: str) -> str:
    """Return a namespace that enforces the restricted standard, with the service accounts of the pods."""
    await apiserver.request(
        "PATCH", f"/api/v1/namespaces/{namespace}", RESTRICTED, content_type="application/merge-patch+json"
    )
    for name in ("default", "marketstream-operator"):
        await apiserver.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    return namespace


async def accepted(apiserver: ApiServer, objects: list[Object]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    await apiserver.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(listed)
    )


@pytest.mark.parametrize("case", MATRIX)
async def test_every_object_is_accepted(
    apiserver: ApiServer, strimzi: None, others: None, namespace: str, helm: Helm, case: str
) -> None:
    given = MATRIX[case]
    values = [value.replace("{test,other}", f"{{{namespace},default}}") for value in given.get("values", ())]
    objects = helm.render(*values, files=given.get("files", ()), namespace=namespace)
    await accepted(apiserver, objects)


async def test_a_kafka_that_strimzi_does_not_know_is_refused(
    apiserver: ApiServer, strimzi: None, namespace: str, helm: Helm
) -> None:
    kafka = only(helm.render(namespace=namespace), "Kafka")
    kafka["spec"]["kafka"]["listener"] = []
    with pytest.raises(Exception, match="listener"):
        await accepted(apiserver, [kafka])


@pytest.mark.parametrize("case", ["default", "development"])
async def test_pods_pass_the_restricted_standard(apiserver: ApiServer, restricted: str, helm: Helm, case: str) -> None:
    path, query = f"/api/v1/namespaces/{restricted}/pods", {"dryRun": "All"}
    templates = pod_templates(helm.render(files=MATRIX[case].get("files", ()), namespace=restricted))
    for name, template in templates.items():
        pod = {"metadata": {"name": name, "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
        # The StatefulSet's controller would create the claims.
        if name == "marketstream-postgresql":
            pod["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        await apiserver.request("POST", path, pod, query=query)
        del pod["spec"]["securityContext"]["seccompProfile"]
        with pytest.raises(httpx.HTTPStatusError, match="violates PodSecurity"):
            await apiserver.request("POST", path, pod, query=query)


async def test_passwords_outlive_upgrades_and_the_release(release: Release) -> None:
    release.install(*HERE)
    first, pods = await release.secrets(), await release.template("marketstream-api")
    assert {len(first[f"marketstream-{name}"]["password"]) for name in ("postgresql", "redis")} == {32}
    release.upgrade(*HERE, "api.replicas=2")
    assert await release.secrets() == first
    assert await release.template("marketstream-api") == pods, "an upgrade without a change must not roll the pods"
    release.uninstall()
    assert (await release.secrets()).keys() == {"marketstream-postgresql", "marketstream-redis"}
    release.install(*HERE)
    assert await release.secrets() == first


async def test_another_password_rolls_the_api(release: Release) -> None:
    release.install(*HERE)
    before = await release.template("marketstream-api")
    release.upgrade(*HERE, "redis.auth.password=other")
    assert (await release.secrets())["marketstream-redis"] == {"password": "other"}
    assert await release.template("marketstream-api") != before


async def test_another_connection_secret_rolls_the_api(apiserver: ApiServer, release: Release) -> None:
    urls = {"KAFKA_BOOTSTRAP": "k:1", "DATABASE_URL": "postgresql://a@b/c", "REDIS_URL": "redis://r/0"}
    await release.make_secret("mine", **urls)
    values = (
        "crds.enabled=false", "strimzi.enabled=false", "kafka.mode=external", "connection.existingSecret=mine",
        "postgresql.mode=external", "redis.mode=external",
    )  # fmt: skip
    release.install(*values)
    before = await release.template("marketstream-api")
    path = f"/api/v1/namespaces/{release.namespace}/secrets/mine"
    for changed, rolls in (({"KAFKA_BOOTSTRAP": "k:2"}, False), ({"DATABASE_CA": "PEM"}, True)):
        await apiserver.request("PATCH", path, {"stringData": changed}, content_type="application/merge-patch+json")
        release.upgrade(*values)
        assert (await release.template("marketstream-api") != before) is rolls


async def test_passwords_of_other_secrets_are_looked_up(release: Release) -> None:
    await release.make_secret("pg", password="from pg")  # noqa: S106 - made up
    await release.make_secret("cache", REDIS_URL="redis://cache:6379/0")
    values = (
        *HERE, "postgresql.auth.existingSecret=pg", "redis.mode=external", "redis.external.existingSecret=cache",
    )  # fmt: skip
    release.install(*values)
    made = await release.secrets()
    assert made.keys() == {"pg", "cache", "marketstream-connection"}
    assert made["marketstream-connection"]["DATABASE_URL"].startswith("postgresql://marketstream:from%20pg@")
    assert made["marketstream-connection"]["REDIS_URL"] == "redis://cache:6379/0"


async def test_the_definition_and_what_it_defines_outlive_the_release(
    apiserver: ApiServer, release: Release, namespace: str
) -> None:
    release.install(*EXTERNAL)
    path = f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams"
    await apiserver.serves(path)
    stream = {
        "apiVersion": "marketstream.io/v1alpha1", "kind": "MarketStream", "metadata": {"name": "majors"},
        "spec": {"exchange": "binance", "symbols": ["BTCUSDT"]},
    }  # fmt: skip
    await apiserver.request("POST", path, stream)
    release.uninstall()
    assert [each["metadata"]["name"] for each in (await apiserver.request("GET", path))["items"]] == ["majors"]
