"""The ways to install the chart, as values and files of values."""

from typing import Any, Final

from tests.chart.helm import DEVELOPMENT, EXTERNAL, PRODUCTION

MATRIX: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "production": {"files": [PRODUCTION]},
    "development": {"files": [DEVELOPMENT]},
    "external": {
        "values": [
            *EXTERNAL, "postgresql.mode=external", "postgresql.external.url=postgresql://u:p@db:5432/m",
            "redis.mode=external", "redis.external.url=rediss://:p@cache:6379/0", "redis.external.caCertificate=PEM",
            "postgresql.external.caCertificate=PEM",
        ]
    },
    "external Kafka with a user": {
        "values": [
            *EXTERNAL, "kafka.external.securityProtocol=SASL_SSL", "kafka.external.saslUsername=me",
            "kafka.external.saslPassword=secret", "kafka.external.caCertificate=PEM",
        ]
    },
    "own Secrets": {
        "values": [
            "connection.existingSecret=mine", "connection.authorities={DATABASE_CA}",
            "postgresql.auth.existingSecret=pg", "redis.auth.existingSecret=redis",
        ]
    },
    "CloudNativePG": {
        "values": [
            "postgresql.mode=cnpg", "postgresql.nodeSelector.disk=fast", "postgresql.cnpg.imageName=r/postgresql:18",
            "postgresql.cnpg.backup.volumeSnapshotClass=fast", "postgresql.storage.storageClass=fast",
            "images.pullSecrets[0].name=registry",
        ]
    },
    "CloudNativePG with an object store": {
        "values": [
            "postgresql.mode=cnpg", "postgresql.cnpg.backup.method=plugin", "postgresql.cnpg.pooler.instances=0",
            "postgresql.cnpg.backup.barmanObjectName=store", "postgresql.cnpg.synchronous.dataDurability=preferred",
        ]
    },
    "several namespaces": {"values": ["operator.watchNamespaces={test,other}"]},
    "all namespaces": {"values": ["operator.watchNamespaces={*}"]},
    "everything on": {
        "values": [
            "metrics.podMonitor.enabled=true", "metrics.prometheusRule.enabled=true",
            "metrics.grafanaDashboard.enabled=true", "api.ingress.enabled=true", "api.ingress.hosts={a.example}",
            "api.replicas=2", "commonLabels.team=markets", "images.pullSecrets[0].name=registry",
            "kafka.strimzi.nodeSelector.disk=fast", "kafka.strimzi.bothListeners=true", "kafka.strimzi.secure=true",
            "kafka.strimzi.metrics.enabled=true", "kafka.strimzi.metrics.allowList={kafka_server.*}",
            "api.httpRoute.enabled=true", "api.httpRoute.parentRefs[0].name=gateway",
            "api.httpRoute.hostnames={a.example}",
            "operator.serviceAccount.annotations.role=mine",
            *(f"{each}.topologySpreadConstraints[0].{field}" for each in ("api", "operator", "kafka.strimzi")
              for field in ("topologyKey=zone", "maxSkew=1", "whenUnsatisfiable=DoNotSchedule")),
            *(f"{each}.{field}" for each in ("api", "operator") for field in (
                "extraVolumes[0].name=more", "extraVolumes[0].configMap.name=more", "extraVolumeMounts[0].name=more",
                "extraVolumeMounts[0].mountPath=/more",
            )),
            "networkPolicy.api.from[0].namespaceSelector.matchLabels.a=b",
        ]
    },
    "everything off": {
        "values": [
            "networkPolicy.enabled=false", "security.fixedUserIds=false",
            "crds.enabled=false", "rbac.aggregate=false", "strimzi.enabled=false",
        ]
    },
}  # fmt: skip
