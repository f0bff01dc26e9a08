"""The objects that follow from a Kafka object and its KafkaNodePool, as pure functions."""

import base64
from typing import Any, Final

from tests.e2e.outside import kafka_pod
from tests.e2e.strimzi.authority import Certificates
from tests.harness.operator.strimzi import authority_secret

LOCAL: Final = "127.0.0.1:9091"
"""The address for Kafka's own programs, reachable in the pod alone. Its clients have all rights."""

CLUSTER_ID: Final = "5L6g3nShT-eMCtK--X86sw"
FOLDER: Final = "/etc/kafka/secrets"


def listener(kafka: Any) -> Any:
    """Return the only listener of a Kafka object."""
    (only,) = kafka["spec"]["kafka"]["listeners"]
    known = {"name", "port", "type", "tls", "authentication", "networkPolicyPeers"}
    assert only["type"] == "internal"
    assert only.keys() <= known, only.keys() - known
    assert only.get("authentication", {}).get("type") == ("scram-sha-512" if only["tls"] else None)
    return only


def made(kafka: Any, pool: Any, certificates: Certificates) -> list[dict[str, Any]]:
    """Return all objects of a cluster, which are deleted with the Kafka object."""
    name = kafka["metadata"]["name"]
    port = listener(kafka)["port"]
    return [
        _authority(kafka, certificates),
        _secret(kafka, f"{name}-kafka-brokers", "broker.pem", certificates.broker),
        _service(kafka, f"{name}-kafka-bootstrap", port),
        _service(kafka, f"{name}-kafka-brokers", port, clusterIP="None", publishNotReadyAddresses=True),
        _policy(kafka),
        _brokers(kafka, pool),
    ]  # fmt: skip


def labels(kafka: Any) -> dict[str, str]:
    """Return the labels of the brokers' pods."""
    name = kafka["metadata"]["name"]
    return {"strimzi.io/cluster": name, "strimzi.io/kind": "Kafka", "strimzi.io/name": f"{name}-kafka"}


def pod_name(kafka: Any, pool: Any) -> str:
    """Return the name of the only broker's pod."""
    return f"{kafka['metadata']['name']}-{pool['metadata']['name']}-0"


def bootstrap(kafka: Any) -> tuple[str, int]:
    """Return the host and the port for clients."""
    name, namespace = kafka["metadata"]["name"], kafka["metadata"]["namespace"]
    return f"{name}-kafka-bootstrap.{namespace}.svc", listener(kafka)["port"]


def owned_by(owner: Any) -> list[dict[str, Any]]:
    """Return the owner reference by which an object is deleted with its owner."""
    return [
        {
            "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": False,
        }
    ]  # fmt: skip


def _owned(kafka: Any, version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": labels(kafka), "ownerReferences": owned_by(kafka)},
        **content,
    }


def _authority(kafka: Any, certificates: Certificates) -> dict[str, Any]:
    made = authority_secret(
        kafka["metadata"]["name"], certificates.authority, certificates.store, certificates.password
    )
    made["metadata"] |= {"labels": labels(kafka), "ownerReferences": owned_by(kafka)}
    return made


def _secret(kafka: Any, name: str, key: str, text: str) -> dict[str, Any]:
    return _owned(kafka, "v1", "Secret", name, type="Opaque", data={key: base64.b64encode(text.encode()).decode()})


def _service(kafka: Any, name: str, port: int, **spec: Any) -> dict[str, Any]:
    named = {"name": f"tcp-{listener(kafka)['name']}", "port": port}
    return _owned(kafka, "v1", "Service", name, spec={"selector": labels(kafka), "ports": [named], **spec})


def _policy(kafka: Any) -> dict[str, Any]:
    given = listener(kafka)
    rule: dict[str, Any] = {"ports": [{"port": given["port"], "protocol": "TCP"}]}
    if "networkPolicyPeers" in given:
        rule["from"] = given["networkPolicyPeers"]
    spec = {"podSelector": {"matchLabels": labels(kafka)}, "policyTypes": ["Ingress"], "ingress": [rule]}
    name = f"{kafka['metadata']['name']}-network-policy-kafka"
    return _owned(kafka, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _brokers(kafka: Any, pool: Any) -> dict[str, Any]:
    name, pool_name = kafka["metadata"]["name"], pool["metadata"]["name"]
    assert pool["spec"]["replicas"] == 1, "the stand-in runs one node"
    (volume,) = pool["spec"]["storage"]["volumes"]
    pod = kafka_pod(_settings(kafka, pool), listener(kafka)["port"])
    pod |= pool["spec"]["template"]["pod"]
    (container,) = pod["containers"]
    container["resources"] = pool["spec"]["resources"]
    container["volumeMounts"].append({"name": "broker-certs", "mountPath": FOLDER, "readOnly": True})
    pod["volumes"].append({"name": "broker-certs", "secret": {"secretName": f"{name}-kafka-brokers"}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": volume["size"]}}}
    return _owned(
        kafka,
        "apps/v1",
        "StatefulSet",
        f"{name}-{pool_name}",
        spec={
            "serviceName": f"{name}-kafka-brokers",
            "replicas": 1,
            "selector": {"matchLabels": labels(kafka)},
            "template": {
                "metadata": {"labels": {**labels(kafka), "strimzi.io/pool-name": pool_name}},
                "spec": pod,
            },
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete" if volume["deleteClaim"] else "Retain", "whenScaled": "Retain",
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    )  # fmt: skip


def _settings(kafka: Any, pool: Any) -> dict[str, str]:
    """Return the variables from which the image writes the broker's configuration."""
    given = listener(kafka)
    host = f"{pod_name(kafka, pool)}.{kafka['metadata']['name']}-kafka-brokers.{kafka['metadata']['namespace']}.svc"
    configuration = {
        "node.id": "0",
        "process.roles": "broker,controller",
        "controller.quorum.voters": "0@127.0.0.1:9090",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CONTROLLER://127.0.0.1:9090,LOCAL://{LOCAL},CLIENTS://:{given['port']}",
        "advertised.listeners": f"LOCAL://{LOCAL},CLIENTS://{host}:{given['port']}",
        "listener.security.protocol.map":
            f"CONTROLLER:PLAINTEXT,LOCAL:PLAINTEXT,CLIENTS:{'SASL_SSL' if given['tls'] else 'PLAINTEXT'}",
        "inter.broker.listener.name": "LOCAL",
        "log.dirs": "/var/lib/kafka/data/kafka-log0",
        "offsets.topic.num.partitions": "5",
        "group.initial.rebalance.delay.ms": "0",
        **{key: _text(value) for key, value in kafka["spec"]["kafka"]["config"].items()},
    }  # fmt: skip
    if given["tls"]:
        configuration |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": f"{FOLDER}/broker.pem",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        }  # fmt: skip
    if "authorization" in kafka["spec"]["kafka"]:
        assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
        configuration |= {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # the clients of LOCAL; all others have names
        }
    heap = pool["spec"]["jvmOptions"]
    return {
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_HEAP_OPTS": f"-Xms{heap['-Xms']} -Xmx{heap['-Xmx']}",
        **{_variable(key): value for key, value in configuration.items()},
    }


def _variable(key: str) -> str:
    """Return the variable of a key as the image reads it: an underscore for a dot, three for a hyphen."""
    return "KAFKA_" + key.replace(".", "_").replace("-", "___").upper()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
