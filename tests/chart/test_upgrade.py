"""Upgrades of a release on a real Kubernetes API: what cannot be changed is refused before anything is changed."""

from typing import Any

import pytest
from marketstream.settings import Settings
from marketstream_operator.names import StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner, Pair, deployment
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.chart.helm import EXTERNAL, PRODUCTION, HelmError
from tests.chart.release import Release

HERE = ("crds.enabled=false", "strimzi.enabled=false")
"""Values that allow several releases in one cluster."""

KEPT = ("postgresql.storage.size=10Gi", "kafka.strimzi.replicas=1", "kafka.strimzi.controllers.replicas=0")
"""Values of a default installation that values-production.yaml would change, and that cannot be changed."""

POOLS = "kafka.strimzi.io/v1/kafkanodepools"


async def pods(release: Release, *, tls: bool, connection: str = "marketstream-connection") -> list[str]:
    """Create a producer and a processor as the operator does, and return their names."""
    sources = {"kafka_bootstrap": (connection, "KAFKA_BOOTSTRAP")}
    if tls:
        sources["kafka_ca_file"] = ("marketstream-cluster-ca-cert", "ca.crt")
    owner, pair = Owner(StreamKey(release.namespace, "majors"), "uid"), Pair("btcusdt-1", ("BTCUSDT",))
    spec, reached = Spec(exchange="binance", symbols=("BTCUSDT",)), Connection(sources, {}, Settings(), "")
    made = []
    for role in ("producer", "processor"):
        template = deployment(owner, spec, pair, role, 1, reached, OperatorSettings(), "")["spec"]["template"]
        body = {"metadata": {**template["metadata"], "generateName": f"{role}-"}, "spec": template["spec"]}
        body["spec"]["containers"][0]["image"] = "services"
        path = f"/api/v1/namespaces/{release.namespace}/pods"
        made.append((await release.api.request("POST", path, body))["metadata"]["name"])
    return made


async def remove(release: Release, names: list[str]) -> None:
    for name in names:
        path = f"/api/v1/namespaces/{release.namespace}/pods/{name}"
        await release.api.request("DELETE", path, {"gracePeriodSeconds": 0})


@pytest.fixture
async def release(release: Release, strimzi: None) -> Release:
    """Return a release in a namespace that can have Kafkas and pods."""
    path = f"/api/v1/namespaces/{release.namespace}/serviceaccounts"
    await release.api.request("POST", path, {"metadata": {"name": "default"}})
    return release


async def state(release: Release) -> Any:
    resources = ("apps/v1/statefulsets", "apps/v1/deployments", POOLS, "kafka.strimzi.io/v1/kafkas", "v1/secrets")
    found = [each for resource in resources for each in await release.listed(resource)]
    return {
        (each.get("kind"), each["metadata"]["name"]): (each.get("spec"), each.get("data"))
        for each in found
        if each.get("type") != "helm.sh/release.v1"
    }


def refusal(release: Release, *values: str, files: tuple[str, ...] = ()) -> str:
    with pytest.raises(HelmError) as caught:
        release.upgrade(*HERE, *values, files=files)
    return str(caught.value)


async def test_production_values_are_refused_by_a_default_installation(release: Release) -> None:
    release.install(*HERE)
    await pods(release, tls=False)
    before = await state(release)
    said = refusal(release, files=(PRODUCTION,))
    assert "postgresql.storage.size is 100Gi, but the running PostgreSQL was installed with 10Gi" in said
    assert "make Kafka's controllers 3 in the pool controller, but the running Kafka has 1 in the pool kafka" in said
    assert "but 2 pods of MarketStreams still use Kafka's listener plain" in said
    assert "values-production.yaml is for a new installation" in said
    assert await state(release) == before


async def test_the_rest_of_production_values_is_taken_over_in_two_upgrades(release: Release) -> None:
    release.install(*HERE)
    old = await pods(release, tls=False)
    release.upgrade(*HERE, *KEPT, "kafka.strimzi.bothListeners=true", files=(PRODUCTION,))
    (kafka,) = await release.listed("kafka.strimzi.io/v1/kafkas")
    assert [each["name"] for each in kafka["spec"]["kafka"]["listeners"]] == ["plain", "tls"]
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple", "superUsers": ["ANONYMOUS"]}
    assert (await release.secrets())["marketstream-connection"]["KAFKA_BOOTSTRAP"].endswith(":9093")
    assert "2 pods of MarketStreams still use" in refusal(release, *KEPT, files=(PRODUCTION,))
    await pods(release, tls=True)
    await remove(release, old)
    release.upgrade(*HERE, *KEPT, files=(PRODUCTION,))
    (kafka,) = await release.listed("kafka.strimzi.io/v1/kafkas")
    assert [each["name"] for each in kafka["spec"]["kafka"]["listeners"]] == ["tls"]
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    said = refusal(release)
    assert "kafka.strimzi.secure is false, but 2 pods of MarketStreams still use Kafka's listener tls" in said


async def test_pods_with_a_kafka_of_their_own_hold_up_no_upgrade(release: Release) -> None:
    release.install(*HERE)
    await pods(release, tls=False, connection="elsewhere")
    release.upgrade(*HERE, "kafka.strimzi.secure=true")


async def test_pods_that_outlive_their_kafka_hold_up_no_installation(release: Release) -> None:
    release.install(*HERE)
    await pods(release, tls=False)
    release.uninstall()
    release.install(*HERE, "kafka.strimzi.secure=true")


async def test_controllers_and_brokers_of_production(release: Release) -> None:
    release.install(*HERE, files=(PRODUCTION,))
    made = {each["metadata"]["name"]: each["spec"] for each in await release.listed(POOLS)}
    assert {name: (spec["roles"], spec["replicas"]) for name, spec in made.items()} == {
        "controller": (["controller"], 3), "broker": (["broker"], 3),
    }  # fmt: skip
    release.upgrade(*HERE, "kafka.strimzi.replicas=4", "kafka.strimzi.storage.size=0.2Ti", files=(PRODUCTION,))
    said = refusal(release, "kafka.strimzi.storage.size=99Gi", "kafka.strimzi.secure=true")
    assert "make Kafka's controllers 1 in the pool kafka, but the running Kafka has 3 in the pool controller" in said
    said = refusal(release, "kafka.strimzi.storage.size=99Gi", files=(PRODUCTION,))
    assert "the volumes of Kafka's nodes are to have 99Gi, but have 0.2Ti" in said


SAME = ("postgresql.storage.size=10240Mi", "images.postgresql.tag=18.1-bookworm", "images.postgresql.repository=r:5/pg")


async def test_another_name_for_the_same_is_accepted(release: Release) -> None:
    release.install(*HERE, *EXTERNAL)
    release.upgrade(*HERE, *EXTERNAL, *SAME)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("postgresql.storage.size=9Gi", "postgresql.storage.size is 9Gi, but the running PostgreSQL was installed"),
        ("postgresql.storage.storageClass=fast", 'postgresql.storage.storageClass is "fast", but the running'),
        ("postgresql.auth.username=me", "postgresql.auth.username is me, but the running PostgreSQL was created with"),
        ("postgresql.auth.database=m", "postgresql.auth.database is m, but the running PostgreSQL was created with"),
        (
            "images.postgresql.tag=19-alpine",
            "images.postgresql.tag is 19-alpine, but the data of the running PostgreSQL is of",
        ),
        ("postgresql.mode=cnpg", "postgresql.mode is cnpg, but this release runs a PostgreSQL of its own"),
        ("fullnameOverride=prices", "but the running PostgreSQL is marketstream-postgresql. Its data would be left"),
    ],
)
async def test_what_postgresql_cannot_change_is_refused(release: Release, value: str, sentence: str) -> None:
    release.install(*HERE, *EXTERNAL)
    assert sentence in refusal(release, *EXTERNAL, value)
