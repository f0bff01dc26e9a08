"""The objects of a MarketStream, compared as plain dicts."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from marketstream.kafka.topics import topic_name
from marketstream.settings import Settings
from marketstream_operator.names import ROLES, Role, StreamKey, topic_object
from marketstream_operator.plan import desired
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner, Pair
from marketstream_operator.plan.podenv import REQUIRED
from marketstream_operator.resource.spec import Spec
from marketstream_operator.resource.validation import read_spec
from marketstream_operator.settings import OperatorSettings

OWNER = Owner(StreamKey("markets", "majors"), "uid-1")
PAIR = Pair("btcusdt-1a2b3", ("BTCUSDT",))
SETTINGS = OperatorSettings(pod_namespace="markets", services_image="registry/services:1.0")
SECRETS = {
    "kafka_bootstrap": "kafka:9092",
    "database_url": "postgresql://u:p@db/market",
    "redis_url": "redis://cache:6379/0",
}


def connection(**more: str) -> Connection:
    values = SECRETS | more
    sources = {name: ("link", name.upper()) for name in values}
    return Connection(sources, {}, Settings.from_environment({k.upper(): v for k, v in values.items()}), "c1")


def spec(**changes: Any) -> Spec:
    return read_spec({"exchange": "binance", "symbols": ["BTCUSDT"], **changes})


def made(
    role: Role = "producer",
    of: Spec | None = None,
    pair: Pair = PAIR,
    settings: OperatorSettings = SETTINGS,
    link: Connection | None = None,
) -> dict[str, Any]:
    """Return the Deployment as it is sent."""
    body = desired.deployment(OWNER, of or spec(), pair, role, 1, link or connection(), settings, "d1")
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return found


def pod_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def container_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(deployment)["containers"]
    found: dict[str, Any] = container
    return found


def environment_of(deployment: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the container, when the Secret `link` holds `values`."""
    seen: dict[str, str] = {}
    for entry in container_of(deployment)["env"]:
        assert entry["name"] not in seen
        if "value" in entry:
            seen[entry["name"]] = entry["value"]
        else:
            reference = entry["valueFrom"]["secretKeyRef"]
            assert reference["name"] == "link"
            seen[entry["name"]] = values[reference["key"].lower()]
    return seen


def test_the_deployment_of_a_producer() -> None:
    labels = {
        "app.kubernetes.io/name": "marketstream",
        "app.kubernetes.io/instance": "majors",
        "app.kubernetes.io/component": "producer",
        "app.kubernetes.io/part-of": "marketstream",
        "app.kubernetes.io/managed-by": "marketstream-operator",
        "marketstream.io/stream": "majors",
        "marketstream.io/pair": "btcusdt-1a2b3",
        "marketstream.io/exchange": "binance",
    }
    alive = {"httpGet": {"path": "/healthz", "port": "http"}, "timeoutSeconds": 3}
    assert made() == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "majors-btcusdt-1a2b3-producer",
            "namespace": "markets",
            "labels": labels,
            "annotations": {
                "marketstream.io/digest": "d1",
                "marketstream.io/spec-digest": desired.spec_digest(spec(), PAIR, "producer", 1),
                "marketstream.io/operator": "markets/marketstream-operator",
                "marketstream.io/symbols": "BTCUSDT",
            },
            "ownerReferences": [
                {
                    "apiVersion": "marketstream.io/v1alpha1", "kind": "MarketStream", "name": "majors", "uid": "uid-1",
                    "controller": True, "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 300,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {
                "matchLabels": {
                    "marketstream.io/stream": "majors", "marketstream.io/pair": "btcusdt-1a2b3",
                    "app.kubernetes.io/component": "producer",
                }
            },
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"marketstream.io/symbols": "BTCUSDT", "marketstream.io/credentials": "c1"},
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "producer",
                            "image": "registry/services:1.0",
                            "imagePullPolicy": "IfNotPresent",
                            "args": ["producer"],
                            "env": container_of(made())["env"],
                            "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
                            "resources": {
                                "requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "384Mi"},
                            },
                            "startupProbe": {
                                **alive, "initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 60,
                            },
                            "livenessProbe": alive | {"periodSeconds": 10, "failureThreshold": 6},
                            "readinessProbe": {
                                "httpGet": {"path": "/readyz", "port": "http"}, "timeoutSeconds": 3, "periodSeconds": 5,
                            },
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                            },
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
                        }
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
                },
            },
        },
    }  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_the_services_read_from_the_environment_what_the_stream_says(role: Role) -> None:
    wanted = spec(
        symbols=["BTCUSDT", "ETHUSDT"],
        freshness={"maxAge": "90s"},
        endpoints={"webSocket": "wss://stream.example:9443", "rest": "https://api.example"},
        **{role: {"logLevel": "debug", "env": [{"name": "PACK_MS", "value": "25"}]}},
    )
    operator = OperatorSettings(topic_prefix="ticks", default_exchange="simulator", services_log_format="console")
    environment = environment_of(made(role, wanted, Pair("p0", ("BTCUSDT", "ETHUSDT")), operator), SECRETS)
    assert Settings.from_environment(environment) == Settings(
        kafka_bootstrap="kafka:9092",
        database_url="postgresql://u:p@db/market" if role == "processor" else "",
        redis_url="redis://cache:6379/0",
        exchange="binance",
        symbols=("BTCUSDT", "ETHUSDT"),
        exchange_ws_url="wss://stream.example:9443",
        exchange_rest_url="https://api.example",
        default_exchange="simulator",
        topic_prefix="ticks",
        topic_create=False,
        consumer_group="marketstream.markets.majors.p0",
        max_age_s=90,
        start_limit_s=600,
        pack_ms=25,
        log_level="debug",
        log_format="console",
    )


def test_credentials_are_in_no_object_but_by_reference() -> None:
    values = {"kafka_sasl_username": "stream", "kafka_sasl_password": "hunter2", "kafka_ca_file": "PEM"}
    text = repr([made(role, link=connection(**values)) for role in ROLES])
    assert [secret for secret in ("hunter2", "u:p@db", "PEM") if secret in text] == []
    names = [entry["name"] for entry in container_of(made(link=connection(**values)))["env"]]
    assert "KAFKA_SASL_PASSWORD" in names
    assert "DATABASE_URL" not in names  # a producer does not need it


def test_ids_are_left_to_the_cluster_on_request() -> None:
    fixed, left = (
        pod_of(made(settings=OperatorSettings(fixed_user_ids=fixed)))["securityContext"] for fixed in (True, False)
    )
    assert {"runAsUser", "runAsGroup", "fsGroup"} == fixed.keys() - left.keys()
    assert left == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_authority_of_kafka_is_mounted_as_a_file() -> None:
    deployment = made(link=connection(kafka_ca_file="PEM"))
    volume = {"secretName": "link", "items": [{"key": "KAFKA_CA_FILE", "path": "ca.crt"}]}
    assert pod_of(deployment)["volumes"][1] == {"name": "kafka-ca", "secret": volume}
    mount = {"name": "kafka-ca", "mountPath": "/etc/marketstream/kafka", "readOnly": True}
    assert container_of(deployment)["volumeMounts"][1] == mount
    assert environment_of(deployment, SECRETS)["KAFKA_CA_FILE"] == "/etc/marketstream/kafka/ca.crt"


def test_what_a_workload_says_of_its_pods_is_handed_on() -> None:
    scheduling = {
        "priorityClassName": "high",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "markets", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
                }
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "majors"}},
            }
        ],
    }  # fmt: skip
    processor = {
        **scheduling,
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}},
        "env": [
            {"name": "GRACE_MS", "value": "2000"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "labels": {"team": "quotes"},
        "annotations": {"example.com/scrape": "yes"},
        "imagePullSecrets": [{"name": "theirs"}],
    }
    wanted = spec(processor=processor)
    settings = OperatorSettings(image_pull_secrets=("ours",))
    deployment = made("processor", wanted, settings=settings)
    pod, container = pod_of(deployment), container_of(deployment)
    assert {name: pod[name] for name in scheduling} == scheduling
    assert container["resources"] == processor["resources"]
    assert [entry for entry in processor["env"] if entry in container["env"]] == processor["env"]
    assert pod["imagePullSecrets"] == [{"name": "ours"}, {"name": "theirs"}]
    template = deployment["spec"]["template"]["metadata"]
    assert template["labels"] == {"team": "quotes", **deployment["metadata"]["labels"]}
    assert template["annotations"]["example.com/scrape"] == "yes"
    assert made("producer", wanted) == made("producer")  # producers are not affected


def test_a_pull_secret_that_is_named_twice_is_given_once() -> None:
    wanted = spec(producer={"imagePullSecrets": [{"name": "theirs"}, {"name": "ours"}, {"name": "theirs"}]})
    deployment = made("producer", wanted, settings=OperatorSettings(image_pull_secrets=("ours", "ours")))
    assert pod_of(deployment)["imagePullSecrets"] == [{"name": "ours"}, {"name": "theirs"}]


@pytest.mark.parametrize(
    ("changes", "concerned"),
    [
        ({"producer": {"logLevel": "debug"}}, ["producer"]),
        ({"processor": {"labels": {"team": "quotes"}}}, ["processor"]),
        ({"endpoints": {"rest": "https://api.example"}}, ["producer", "processor"]),
        ({"freshness": {"maxAge": "90s"}}, ["producer", "processor"]),
        ({"symbols": ["BTCUSDT", "ETHUSDT"]}, []),
        ({"retention": {"trades": "48h"}}, []),
    ],
)
def test_a_change_of_the_stream_concerns_only_whom_it_changes(changes: dict[str, Any], concerned: list[Role]) -> None:
    def digest(role: Role, of: Spec) -> str:
        return desired.spec_digest(of, PAIR, role, 1)

    assert [role for role in ROLES if digest(role, spec(**changes)) != digest(role, spec())] == concerned
    assert [role for role in ROLES if made(role, spec(**changes)) != made(role)] == concerned


@pytest.mark.parametrize(
    "settings",
    [
        OperatorSettings(pod_namespace="markets", services_image="registry/services:1.1"),
        OperatorSettings(pod_namespace="markets", services_image="registry/services:1.0", image_pull_policy="Always"),
        OperatorSettings(pod_namespace="markets", services_image="registry/services:1.0", topic_prefix="ticks"),
    ],
    ids=["image", "pull policy", "topic prefix"],
)
def test_a_change_of_the_operators_own_is_told_from_one_of_the_stream(settings: OperatorSettings) -> None:
    assert desired.operator_digest(settings, connection()) != desired.operator_digest(SETTINGS, connection())


def test_other_credentials_change_the_pods() -> None:
    link = connection()
    other = Connection(link.sources, link.values, link.settings, "c2")
    assert desired.operator_digest(SETTINGS, other) != desired.operator_digest(SETTINGS, link)
    note = made(link=other)["spec"]["template"]["metadata"]["annotations"]["marketstream.io/credentials"]
    assert note == "c2"


def test_the_kafka_topic_of_a_symbol() -> None:
    settings = OperatorSettings(kafka_cluster="main", topic_replication=3)
    topic = desired.topic(OWNER, spec(retention={"trades": "48h"}), "BTCUSDT", settings, "d1")
    assert topic == {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {
            "name": "trades.binance.btcusdt",
            "namespace": "markets",
            "labels": {
                "app.kubernetes.io/name": "marketstream",
                "app.kubernetes.io/instance": "majors",
                "app.kubernetes.io/component": "topic",
                "app.kubernetes.io/part-of": "marketstream",
                "app.kubernetes.io/managed-by": "marketstream-operator",
                "marketstream.io/stream": "majors",
                "marketstream.io/exchange": "binance",
                "strimzi.io/cluster": "main",
            },
            "annotations": {
                "marketstream.io/digest": "d1",
                "marketstream.io/operator": "default/marketstream-operator",
            },
            "ownerReferences": made()["metadata"]["ownerReferences"],
        },
        "spec": {"partitions": 1, "replicas": 3, "config": {"retention.ms": str(48 * 3600 * 1000)}},
    }


def test_a_topic_whose_trades_are_to_be_kept_belongs_to_nobody() -> None:
    topic = desired.topic(OWNER, spec(retention={"onDelete": "keep"}), "BTCUSDT", SETTINGS, "d1")
    assert "ownerReferences" not in topic["metadata"]
    assert "app.kubernetes.io/instance" not in topic["metadata"]["labels"], "Argo CD would prune it"
    assert topic["metadata"]["labels"]["marketstream.io/stream"] == "majors"


def test_what_a_connection_cannot_lack_is_given_to_processors() -> None:
    names = {entry["name"] for entry in container_of(made("processor"))["env"]}
    assert {name.upper() for name in REQUIRED} <= names


def test_a_topic_of_letters_beyond_ascii_has_its_name_in_the_spec() -> None:
    for symbol, given in (("BTCUSDT", None), ("币安人生USDT", topic_name("trades", "binance", "币安人生USDT"))):
        topic = desired.topic(OWNER, spec(symbols=[symbol]), symbol, SETTINGS, "")
        assert topic["spec"].get("topicName") == given
        assert topic["metadata"]["name"] == topic_object(topic_name("trades", "binance", symbol))
