"""The exchange and a Kafka, which are not part of the platform: pods of another namespace."""

from collections.abc import Mapping
from typing import Any, Final

from tests.e2e import images
from tests.e2e.kube import Kube

EXCHANGE: Final = "exchange"
EXCHANGE_PORT: Final = 9443
KAFKA: Final = "kafka"
KAFKA_PORT: Final = 9092
NAMESPACE: Final = "kubernetes.io/metadata.name"

POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def exchange(arguments: list[str]) -> list[dict[str, Any]]:
    """Return the objects of the fake Binance."""
    return [
        _service(EXCHANGE, EXCHANGE_PORT),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": EXCHANGE},
            "spec": {
                "selector": {"matchLabels": {"app": EXCHANGE}},
                "template": {
                    "metadata": {"labels": {"app": EXCHANGE}},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "terminationGracePeriodSeconds": 1,
                        "securityContext": POD_SECURITY,
                        "containers": [
                            {
                                "name": EXCHANGE,
                                "image": images.EXCHANGE,
                                "imagePullPolicy": "IfNotPresent",
                                "args": ["--host", "0.0.0.0", "--port", str(EXCHANGE_PORT), *arguments],  # noqa: S104
                                "ports": [{"containerPort": EXCHANGE_PORT}],
                                "readinessProbe": {
                                    "httpGet": {"path": "/api/v3/ping", "port": EXCHANGE_PORT}, "periodSeconds": 2,
                                },
                                "securityContext": CONTAINER_SECURITY | {"readOnlyRootFilesystem": True},
                            }
                        ],
                    },
                },
            },
        },
    ]  # fmt: skip


def kafka(namespace: str) -> list[dict[str, Any]]:
    """Return the objects of a plain broker that is its own controller and keeps its data across restarts."""
    address = f"{KAFKA}.{namespace}.svc:{KAFKA_PORT}"
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_LOG_DIRS": "/var/lib/kafka/data/log",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "5",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_HEAP_OPTS": "-Xms256m -Xmx256m",
    }
    return [
        _service(KAFKA, KAFKA_PORT),
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": KAFKA},
            "spec": {
                "serviceName": KAFKA,
                "selector": {"matchLabels": {"app": KAFKA}},
                "template": {
                    "metadata": {"labels": {"app": KAFKA}},
                    "spec": kafka_pod(settings, KAFKA_PORT),
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                ],
            },
        },
    ]


def kafka_pod(settings: Mapping[str, str], port: int) -> dict[str, Any]:
    """Return the pod of a broker, whose volume is named `data`.

    The image overwrites some of its own files with its configuration. An unprivileged user cannot do that, so the pod
    gets copies of them.
    """
    security = CONTAINER_SECURITY | {"readOnlyRootFilesystem": True}
    image = {"image": images.KAFKA, "imagePullPolicy": "IfNotPresent", "securityContext": security}
    variables = {**settings, "LOG_DIR": "/tmp/logs"}  # noqa: S108 - in the pod
    defaults = {"name": "defaults", "mountPath": "/etc/kafka/docker"}
    return {
        "automountServiceAccountToken": False,
        # The image would read variables that a Service named kafka sets, like KAFKA_PORT, as settings.
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY | {"runAsUser": 1000, "fsGroup": 1000},
        "initContainers": [
            {
                "name": "defaults",
                **image,
                "command": ["sh", "-c", "cp -R /etc/kafka/docker/* /copy && chmod -R u+w /copy/*"],
                "volumeMounts": [defaults | {"mountPath": "/copy"}],
            }
        ],
        "containers": [
            {
                "name": "kafka",
                **image,
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                "ports": [{"name": "clients", "containerPort": port}],
                "readinessProbe": {"tcpSocket": {"port": "clients"}, "periodSeconds": 2},
                "volumeMounts": [
                    defaults,
                    {"name": "config", "mountPath": "/opt/kafka/config"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod
                    {"name": "data", "mountPath": "/var/lib/kafka/data"},
                ],
            }
        ],
        "volumes": [{"name": name, "emptyDir": {}} for name in ("defaults", "config", "tmp")],
    }


def peer(namespace: str, app: str) -> dict[str, Any]:
    """Return the pods of an app as a peer of a NetworkPolicy."""
    return {"namespaceSelector": {"matchLabels": {NAMESPACE: namespace}}, "podSelector": {"matchLabels": {"app": app}}}


async def is_up(kube: Kube, *names: str) -> None:
    """Wait until the pods of these apps are ready."""
    for name in names:
        await kube.run("wait", "pod", "-l", f"app={name}", "--for=condition=Ready", "--timeout=120s", limit=130)


def _service(name: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}], "publishNotReadyAddresses": name == KAFKA},
    }
