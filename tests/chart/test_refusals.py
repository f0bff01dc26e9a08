"""Values that the chart rejects, with the message."""

from collections.abc import Sequence

import pytest

from tests.chart.helm import EXTERNAL, Helm, HelmError

PG = "postgresql.external.url=postgresql://u:p@db/m"

CONTRADICTIONS = {
    "kafka.mode is external, but strimzi.enabled installs a Strimzi operator that nothing would use": [
        "kafka.mode=external", "kafka.external.bootstrapServers=a:1",
    ],
    "no address of Kafka is given": ["kafka.mode=external", "strimzi.enabled=false"],
    "but with kafka.mode strimzi the chart creates its own Kafka": ["kafka.external.bootstrapServers=a:1"],
    "kafka.strimzi.replicas is 2, but must be 1, 3 or 5": ["kafka.strimzi.replicas=2"],
    "MarketStreams must be in the namespace of Kafka": ["operator.watchNamespaces={other}"],
    "but kafka.external sets others: set only one of the two": [
        *EXTERNAL, "connection.existingSecret=mine", "postgresql.auth.existingSecret=a", "redis.auth.existingSecret=b",
    ],
    "kafka.external.existingSecret and kafka.external.saslUsername or saslPassword are both set": [
        *EXTERNAL, "kafka.external.existingSecret=a", "kafka.external.saslUsername=b",
        "kafka.external.securityProtocol=SASL_SSL",
    ],
    "kafka.external.securityProtocol is SASL_SSL, which requires a user": [
        *EXTERNAL, "kafka.external.securityProtocol=SASL_SSL",
    ],
    "kafka.external sets a user, but securityProtocol is PLAINTEXT": [*EXTERNAL, "kafka.external.saslUsername=a"],
    "postgresql.auth.password and postgresql.auth.existingSecret are both set": [
        "postgresql.auth.password=a", "postgresql.auth.existingSecret=b",
    ],
    "postgresql.external.url and postgresql.external.existingSecret are both set": [
        PG, "postgresql.mode=external", "postgresql.external.existingSecret=a",
    ],
    "but postgresql.external sets another address": [
        PG, "postgresql.mode=external", "connection.existingSecret=a", "redis.auth.existingSecret=b",
    ],
    "postgresql.external is set, but with postgresql.mode internal": [PG],
    "postgresql.mode is external, but no address is given": ["postgresql.mode=external"],
    "redis.mode is external, but no address is given": ["redis.mode=external"],
    "postgresql.auth is for the server that the chart runs": [
        PG, "postgresql.mode=external", "postgresql.auth.password=a",
    ],
    "connection.existingSecret must contain the password of the postgresql that the chart runs": [
        "connection.existingSecret=a", "redis.auth.existingSecret=b",
    ],
    "connection.existingSecret must contain the password of the redis that the chart runs": [
        "connection.existingSecret=a", "postgresql.auth.existingSecret=b",
    ],
    "there is no Secret pg with a key password in the namespace test": ["postgresql.auth.existingSecret=pg"],
    "there is no Secret user with a key KAFKA_SASL_USERNAME in the namespace test": [
        *EXTERNAL, "kafka.external.securityProtocol=SASL_SSL", "kafka.external.existingSecret=user",
    ],
    "operator.watchNamespaces contains * and other names": ["operator.watchNamespaces={*,test}"],
    "but postgresql.external.caCertificate is set: put it into that Secret": [
        "connection.existingSecret=a", "postgresql.external.caCertificate=b", "postgresql.mode=external",
        "redis.auth.existingSecret=b",
    ],
    "connection.authorities names keys of connection.existingSecret, which is not set": [
        "connection.authorities={REDIS_CA}",
    ],
    "postgresql.cnpg.synchronous.number is 3, but of 3 instances at most 2 are standbys": [
        "postgresql.mode=cnpg", "postgresql.cnpg.synchronous.number=3",
    ],
    "postgresql.cnpg.backup.method is plugin, but no place for backups is given": [
        "postgresql.mode=cnpg", "postgresql.cnpg.backup.method=plugin",
    ],
    "commonLabels sets app.kubernetes.io/name, a label that the chart sets itself": [
        r"commonLabels.app\.kubernetes\.io/name=mine",
    ],
    "operator.podLabels sets marketstream.io/stream, a label": [r"operator.podLabels.marketstream\.io/stream=mine"],
    "api.podLabels sets app.kubernetes.io/component, a label": [r"api.podLabels.app\.kubernetes\.io/component=mine"],
    "metrics.podMonitor.labels sets helm.sh/chart, a label": [r"metrics.podMonitor.labels.helm\.sh/chart=mine"],
    "commonLabels and the labels of a part of metrics both set team": [
        "commonLabels.team=a", "metrics.prometheusRule.labels.team=b",
    ],
    "api.podAnnotations sets checksum/connection": ["api.podAnnotations.checksum/connection=mine"],
    "operator.extraEnv sets KAFKA_CLUSTER, which is set already": ["operator.extraEnv[0].name=KAFKA_CLUSTER"],
    "operator.extraEnv sets TZ, which is set already": [
        "operator.extraEnv[0].name=TZ", "operator.extraEnv[1].name=TZ",
    ],
    "api.extraEnv sets DATABASE_URL, which is set already": ["api.extraEnv[0].name=DATABASE_URL"],
    "api.httpRoute.enabled is true, but no Gateway is given": ["api.httpRoute.enabled=true"],
    "operator.extraVolumes names a volume tmp, which there is already": ["operator.extraVolumes[0].name=tmp"],
    "api.ingress.enabled is true, but no host is given": ["api.ingress.enabled=true"],
}  # fmt: skip

UNKNOWN = [
    "replicas=2",
    "kafka.bootstrap=a:1",
    "postgresql.auth.pasword=a",
    "metrics.podMonitor.enable=true",
    "images.services.name=a",
]

SENSELESS = [
    "kafka.mode=internal",
    "api.replicas=-1",
    "operator.logLevel=loud",
    "images.services.digest=abc",
    "postgresql.external.url=mysql://a",
    "kafka.external.bootstrapServers=kafka",
    "api.service.port=0",
    "operator.watchNamespaces={Not_A_Name}",
]


def refusal(helm: Helm, values: Sequence[str]) -> str:
    with pytest.raises(HelmError) as caught:
        helm.render(*values)
    return str(caught.value)


@pytest.mark.parametrize("sentence", CONTRADICTIONS)
def test_contradictory_values_are_rejected_with_a_message(helm: Helm, sentence: str) -> None:
    assert sentence in refusal(helm, CONTRADICTIONS[sentence])


@pytest.mark.parametrize("value", UNKNOWN)
def test_unknown_values_are_rejected(helm: Helm, value: str) -> None:
    message = refusal(helm, [value])
    assert "additional properties" in message
    key, _, _ = value.partition("=")
    assert key.rpartition(".")[2] in message


@pytest.mark.parametrize("value", SENSELESS)
def test_values_of_the_wrong_type_are_rejected(helm: Helm, value: str) -> None:
    assert "don't meet the specifications of the schema" in refusal(helm, [value])
