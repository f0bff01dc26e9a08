"""The objects that a MarketStream should have. Pure: no input or output, no clock."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from marketstream.kafka.topics import topic_name
from marketstream.settings import Settings

from marketstream_operator import names
from marketstream_operator.kinds import DEPLOYMENT, KAFKA_TOPIC, MARKET_STREAM
from marketstream_operator.names import Role, StreamKey
from marketstream_operator.plan.connection import CA_FILE, CA_FOLDER, Connection
from marketstream_operator.plan.podenv import HTTP_PORT
from marketstream_operator.resource.spec import Spec, Workload
from marketstream_operator.settings import OperatorSettings

USER: Final = 10001
"""User id of the images."""

_IDS: Final = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}

STOP_S: Final = 30
"""Grace period for stopping a pod, in seconds: a service takes at most 5."""

DEFAULT_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "384Mi"}}
"""Resources of a container whose MarketStream names none: three to five times what a busy symbol's pair uses."""

START_LIMIT_S: Final = 600
"""Seconds for which a starting pod waits for Kafka, topics and PostgreSQL before it exits with the missing ones named.

The wait is long because all of them may be starting too, as after an installation.
"""

_ALIVE: Final = {"httpGet": {"path": "/healthz", "port": "http"}, "timeoutSeconds": 3, "periodSeconds": 10}
_PROBES: Final = {
    # A long wait for Kafka or PostgreSQL is no reason to restart a service: its process only has to answer.
    # The first probe waits until a service usually answers: each failure leaves a Warning, which looks like a fault.
    "startupProbe": _ALIVE | {"initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 60},
    "livenessProbe": _ALIVE | {"failureThreshold": 6},
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "timeoutSeconds": 3, "periodSeconds": 5},
}


class Owner(msgspec.Struct, frozen=True):
    """The MarketStream that owns the objects."""

    key: StreamKey
    uid: str


class Pair(msgspec.Struct, frozen=True):
    """A pair and its symbols."""

    id: str
    symbols: tuple[str, ...]


def spec_digest(spec: Spec, pair: Pair, role: Role, replicas: int) -> str:
    """Return a digest of all parts of a MarketStream that this Deployment depends on."""
    workload = msgspec.json.encode(_workload(spec, role))
    reached = msgspec.json.encode((spec.endpoints, spec.connection_secret_ref))
    return names.digest(workload, reached, spec.exchange, spec.freshness.max_age, pair.id, pair.symbols, replicas)


def operator_digest(settings: OperatorSettings, connection: Connection) -> str:
    """Return a digest of all other inputs of a Deployment: the operator's settings, its code, and the credentials."""
    samples = [
        deployment(_NOBODY, _NO_SPEC, Pair("", ("",)), role, 1, connection, settings, "") for role in names.ROLES
    ]
    return names.digest(samples)


def settings_digest(settings: OperatorSettings) -> str:
    """Return a digest of the operator's settings and code, without the credentials of any stream."""
    return operator_digest(settings, Connection({}, {}, Settings(), ""))


def deployment(
    owner: Owner,
    spec: Spec,
    pair: Pair,
    role: Role,
    replicas: int,
    connection: Connection,
    settings: OperatorSettings,
    digest: str,
    roll: str = "",
) -> dict[str, Any]:
    """Return the Deployment of one role of a pair, annotated with the `digest` of its inputs.

    `roll` marks the settings for which it got a turn to roll (names.ROLL).
    """
    stream = owner.key.name
    workload = _workload(spec, role)
    own = names.labels(stream, spec.exchange, role, pair.id)
    symbols = {names.SYMBOLS: ",".join(pair.symbols)}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": {
            "name": names.child_name(stream, pair.id, role),
            "namespace": owner.key.namespace,
            "labels": own,
            "annotations": {
                names.DIGEST: digest, names.SPEC_DIGEST: spec_digest(spec, pair, role, replicas),
                names.MADE_BY: settings.identity, **symbols, **({names.ROLL: roll} if roll else {}),
            },
            "ownerReferences": [_reference(owner)],
        },
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 300,
            # The new pod starts before the old one stops. Two producers publish some trades twice, which are dropped
            # by their ids; of two processors, only the one with the newer fence writes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": {name: own[name] for name in (names.STREAM, names.PAIR, names.COMPONENT)}},
            "template": {
                "metadata": {
                    "labels": {**workload.labels, **own},
                    "annotations": {
                        **workload.annotations, **symbols, names.CREDENTIALS: connection.credentials,
                    },
                },
                "spec": _pod(spec, owner.key, pair, role, connection, settings),
            },
        },
    }  # fmt: skip


def _pod(
    spec: Spec, key: StreamKey, pair: Pair, role: Role, connection: Connection, settings: OperatorSettings
) -> dict[str, Any]:
    workload = _workload(spec, role)
    named = [*settings.image_pull_secrets, *(reference.name for reference in workload.image_pull_secrets)]
    secrets = dict.fromkeys(named)  # the API server answers 500 to duplicates
    volumes, mounts = _volumes(connection, role)
    optional = {
        "imagePullSecrets": [{"name": name} for name in secrets],
        "priorityClassName": workload.priority_class_name,
        "nodeSelector": workload.node_selector,
        "tolerations": msgspec.to_builtins(workload.tolerations),
        "affinity": msgspec.to_builtins(workload.affinity),
        "topologySpreadConstraints": msgspec.to_builtins(workload.topology_spread_constraints),
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a Service named kafka would set KAFKA_… here
        "terminationGracePeriodSeconds": STOP_S,
        "securityContext": {
            "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
            **(_IDS if settings.fixed_user_ids else {}),
        },
        "containers": [
            {
                "name": role,
                "image": settings.services_image,
                "imagePullPolicy": settings.image_pull_policy,
                "args": [role],
                "env": _environment(spec, key, pair, role, connection, settings),
                "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
                "resources": msgspec.to_builtins(workload.resources or DEFAULT_RESOURCES),
                **_PROBES,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": not settings.writable_root,
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
        **{name: value for name, value in optional.items() if value},
    }  # fmt: skip


def _environment(
    spec: Spec, key: StreamKey, pair: Pair, role: Role, connection: Connection, settings: OperatorSettings
) -> list[dict[str, Any]]:
    written = Settings(
        exchange=spec.exchange,
        symbols=pair.symbols,
        exchange_ws_url=spec.endpoints.web_socket,
        exchange_rest_url=spec.endpoints.rest,
        default_exchange=settings.default_exchange,
        topic_prefix=settings.topic_prefix,
        topic_create=False,  # the operator creates them, with the retention of the MarketStream
        consumer_group=names.consumer_group(key, pair.id),
        max_age_s=spec.freshness.max_age_s,
        start_limit_s=START_LIMIT_S,
        log_level=_workload(spec, role).log_level,
        log_format=settings.services_log_format,
    ).to_environment()
    return [
        *({"name": name, "value": value} for name, value in written.items()),
        *connection.environment(role),
        *msgspec.to_builtins(_workload(spec, role).env),
    ]


def _volumes(connection: Connection, role: Role) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the pod's own
    for folder, (secret, item) in connection.authorities(role).items():
        name = f"{folder}-ca"
        volumes.append({"name": name, "secret": {"secretName": secret, "items": [{"key": item, "path": CA_FILE}]}})
        mounts.append({"name": name, "mountPath": f"{CA_FOLDER}/{folder}", "readOnly": True})
    return volumes, mounts


def topic(owner: Owner, spec: Spec, symbol: str, settings: OperatorSettings, digest: str) -> dict[str, Any]:
    """Return the KafkaTopic of a symbol. It is deleted with its MarketStream, unless its trades are to be kept.

    A kept topic has no owner, and no label by which tools that track objects, such as Argo CD, would prune it.
    """
    name = topic_name(settings.topic_prefix, spec.exchange, symbol)
    metadata: dict[str, Any] = {
        "name": names.topic_object(name),
        "namespace": owner.key.namespace,
        "labels": {
            **names.labels(owner.key.name, spec.exchange, "topic"), "strimzi.io/cluster": settings.kafka_cluster,
        },
        "annotations": {names.DIGEST: digest, names.MADE_BY: settings.identity},
    }  # fmt: skip
    if spec.retention.on_delete == "delete":
        metadata["ownerReferences"] = [_reference(owner)]
    else:
        del metadata["labels"][names.INSTANCE]
    wanted: dict[str, Any] = {
        "partitions": 1,  # keeps a symbol's trades in order
        "config": {"retention.ms": str(1000 * spec.retention.trades_s)},
    }
    if metadata["name"] != name:
        wanted["topicName"] = name
    if settings.topic_replication > 0:
        wanted["replicas"] = settings.topic_replication
    return {
        "apiVersion": KAFKA_TOPIC.api_version, "kind": KAFKA_TOPIC.name, "metadata": metadata, "spec": wanted,
    }  # fmt: skip


def topic_digest(owner: Owner, spec: Spec, symbol: str, settings: OperatorSettings) -> str:
    """Return a digest of the inputs of the KafkaTopic."""
    return names.digest(topic(owner, spec, symbol, settings, ""))


def _workload(spec: Spec, role: Role) -> Workload:
    return spec.producer if role == "producer" else spec.processor


def _reference(owner: Owner) -> Mapping[str, Any]:
    return {
        "apiVersion": MARKET_STREAM.api_version, "kind": MARKET_STREAM.name, "name": owner.key.name, "uid": owner.uid,
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip


_NOBODY: Final = Owner(StreamKey("", ""), "")
_NO_SPEC: Final = Spec(exchange="simulator", symbols=("",))
