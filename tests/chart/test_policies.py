"""The chart's NetworkPolicies, for every connection between its own pods, the operator's pods and outside hosts."""

import itertools

import pytest
from marketstream.settings import Settings
from marketstream_operator.names import ROLES, StreamKey
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner, Pair, deployment
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.chart.helm import EXTERNAL, Helm, Object, only, pod_templates
from tests.chart.policies import Pod, pod_of, reaches, selects
from tests.harness.tiltlabels import as_applied

PORTS = {
    "api": 8000, "operator": 8080, "producer": 8000, "processor": 8000, "postgresql": 5432, "redis": 6379,
    "kafka": 9092, "exchange": 443, "kubernetes": 6443, "dns": 53,
}  # fmt: skip

NEEDED = {
    ("api", "postgresql"), ("api", "redis"), ("operator", "redis"), ("operator", "kafka"), ("operator", "kubernetes"),
    ("producer", "exchange"), ("producer", "kafka"), ("producer", "redis"),
    ("processor", "exchange"), ("processor", "kafka"), ("processor", "redis"), ("processor", "postgresql"),
    *((client, "dns") for client in ("api", "operator", "producer", "processor")),
    ("test", "api"), ("stranger", "api"),
}  # fmt: skip
"""All connections that are needed. Every other one must be refused."""

OUTSIDE = {
    "exchange": Pod({}, address="52.84.150.39"),
    "kubernetes": Pod({}, address="10.96.0.1"),
    "dns": Pod({"k8s-app": "kube-dns"}, "kube-system"),
    "stranger": Pod({"app": "stranger"}),
}

CLIENTS = ("api", "operator", "producer", "processor", "postgresql", "redis", "test", "stranger")


def stream_pods(namespace: str = "test") -> dict[str, Pod]:
    """Return pods as the operator creates them."""
    owner, pair = Owner(StreamKey(namespace, "majors"), "uid"), Pair("btcusdt-1", ("BTCUSDT",))
    spec, connection = Spec(exchange="binance", symbols=("BTCUSDT",)), Connection({}, {}, Settings(), "")
    return {
        role: pod_of(
            deployment(owner, spec, pair, role, 1, connection, OperatorSettings(), "")["spec"]["template"], namespace
        )
        for role in ROLES
    }


def everybody(objects: list[Object], kafka: Pod, streams_in: str = "test") -> dict[str, Pod]:
    own = {
        name.removeprefix("marketstream-"): pod_of(template)
        for name, template in pod_templates(objects).items()
        if template["spec"]["containers"][0].get("ports") or name.endswith("-test")
    }
    return own | stream_pods(streams_in) | OUTSIDE | {"kafka": kafka}


def policies(objects: list[Object]) -> list[Object]:
    return [each for each in objects if each["kind"] == "NetworkPolicy"]


def connections(objects: list[Object], pods: dict[str, Pod]) -> set[tuple[str, str]]:
    """Return the pairs of client and server that can connect. Servers outside accept everything."""
    return {
        (client, server)
        for client, server in itertools.product(CLIENTS, PORTS)
        if client != server and reaches(policies(objects), pods[client], pods[server], PORTS[server])
    }


STRIMZI = Pod(
    {"strimzi.io/cluster": "marketstream", "strimzi.io/name": "marketstream-kafka", "strimzi.io/kind": "Kafka"}
)
OPEN = set(itertools.product(("test", "stranger"), ("exchange", "kubernetes", "dns", "kafka")))
"""Connections that no policy of the chart can prevent: from pods to servers that are both not its own."""


@pytest.mark.parametrize("by", ["Helm", "Tilt"])
@pytest.mark.parametrize("streams_in", ["test", "other"])
def test_only_the_needed_connections_are_allowed(helm: Helm, streams_in: str, by: str) -> None:
    """Tilt changes labels and selectors of the chart's objects, but not the pods that the operator creates."""
    objects = helm.render(f"operator.watchNamespaces={{test,{streams_in}}}")
    if by == "Tilt":
        objects = as_applied(objects)
        assert {each["metadata"]["labels"]["app.kubernetes.io/managed-by"] for each in objects} == {"tilt"}
    reached = connections(objects, everybody(objects, STRIMZI, streams_in))
    # The API server may be at any address, so its ports are open to the operator; and the exchange's to it as well.
    assert reached - OPEN == NEEDED | {("operator", "exchange")}


def test_a_kafka_outside_is_reached_by_its_ports(helm: Helm) -> None:
    objects = helm.render(*EXTERNAL)
    reached = connections(objects, everybody(objects, Pod({"app": "kafka"}, "elsewhere")))
    assert reached - OPEN == NEEDED | {("operator", "exchange")}
    assert not reaches(policies(objects), stream_pods()["producer"], Pod({"app": "kafka"}), 9094)


@pytest.mark.parametrize(
    ("poolers", "labels"),
    [
        (2, {"cnpg.io/poolerName": "marketstream-postgresql-pooler"}),
        (0, {"cnpg.io/cluster": "marketstream-postgresql"}),
    ],
)
def test_cloudnativepg_is_reached_by_those_that_need_it(helm: Helm, poolers: int, labels: dict[str, str]) -> None:
    objects = helm.render("postgresql.mode=cnpg", f"postgresql.cnpg.pooler.instances={poolers}")
    pods = everybody(objects, STRIMZI) | {"postgresql": Pod(labels)}
    reached = {
        name
        for name in ("api", "operator", "producer", "processor")
        if (name, "postgresql") in connections(objects, pods)
    }
    assert reached == {"api", "processor"}


def test_private_addresses_are_not_the_exchange(helm: Helm) -> None:
    held = policies(helm.render())
    for role in ROLES:
        for address in ("10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254"):
            assert not reaches(held, stream_pods()[role], Pod({}, address=address), 443)


def test_an_exchange_in_the_cluster(helm: Helm) -> None:
    objects = helm.render(
        "networkPolicy.exchange.to[0].podSelector.matchLabels.app=exchange", "networkPolicy.exchange.ports={9000}"
    )
    producer = stream_pods()["producer"]
    assert reaches(policies(objects), producer, Pod({"app": "exchange"}), 9000)
    assert not reaches(policies(objects), producer, OUTSIDE["exchange"], 443)


def test_extra_egress_allows_more_servers(helm: Helm) -> None:
    rule = "networkPolicy.extraEgress[0]"
    objects = helm.render(f"{rule}.ports[0].port=6380", f"{rule}.to[0].podSelector.matchLabels.app=cache")
    pods, cache = everybody(objects, STRIMZI), Pod({"app": "cache"})
    reached = {name for name in CLIENTS if reaches(policies(objects), pods[name], cache, 6380)}
    assert reached == {"operator", *ROLES, "test", "stranger"}


def test_kafka_accepts_the_clients_that_need_it(helm: Helm) -> None:
    objects = helm.render("operator.watchNamespaces={test,other}")
    (listener,) = only(objects, "Kafka")["spec"]["kafka"]["listeners"]
    # Strimzi creates a NetworkPolicy from the peers.
    made = {
        "metadata": {"namespace": "test"},
        "spec": {
            "podSelector": {"matchLabels": {"strimzi.io/cluster": "marketstream"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": listener["networkPolicyPeers"], "ports": [{"port": listener["port"]}]}],
        },
    }
    pods = everybody(objects, STRIMZI)
    inside = {name for name in CLIENTS if reaches([*policies(objects), made], pods[name], STRIMZI, 9092)}
    assert inside == {"operator", "producer", "processor"}
    assert reaches([made], stream_pods("other")["producer"], STRIMZI, 9092)
    assert not reaches([made], stream_pods("third")["producer"], STRIMZI, 9092)


def test_prometheus_is_allowed_with_a_monitor(helm: Helm) -> None:
    prometheus = Pod({"app": "prometheus"}, "monitoring")
    for on in (True, False):
        objects = helm.render(f"metrics.podMonitor.enabled={str(on).lower()}")
        pods = everybody(objects, STRIMZI)
        for name in ("operator", "producer", "processor"):
            assert reaches(policies(objects), prometheus, pods[name], PORTS[name]) is on
        assert not reaches(policies(objects), prometheus, pods["redis"], 6379)


@pytest.mark.parametrize("by", ["Helm", "Tilt"])
def test_the_monitor_and_the_services_select_their_pods(helm: Helm, by: str) -> None:
    objects = helm.render("metrics.podMonitor.enabled=true")
    objects = as_applied(objects) if by == "Tilt" else objects
    pods = everybody(objects, STRIMZI)
    monitor = only(objects, "PodMonitor", "marketstream")["spec"]["selector"]
    watched = {name for name, pod in pods.items() if selects(monitor, pod.labels)}
    assert watched == {"operator", "api", "producer", "processor"}
    for service in (each for each in objects if each["kind"] == "Service"):
        chosen = {
            name for name, pod in pods.items() if selects({"matchLabels": service["spec"]["selector"]}, pod.labels)
        }
        assert chosen == {service["metadata"]["name"].removeprefix("marketstream-")}
        (pod,) = (pods[name] for name in chosen)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= pod.ports.keys()


def test_no_policies_when_turned_off(helm: Helm) -> None:
    objects = helm.render("networkPolicy.enabled=false")
    assert policies(objects) == []
    assert "networkPolicyPeers" not in only(objects, "Kafka")["spec"]["kafka"]["listeners"][0]
