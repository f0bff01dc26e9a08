"""Secrets that are created later than the MarketStream that needs them, and Secrets that Strimzi creates."""

from marketstream.local.kafka import KafkaServer

from tests.harness.operator.playing import environment_of
from tests.harness.operator.running import Cluster
from tests.harness.operator.strimzi import authority_secret, user_secret
from tests.integration.operator.conftest import Operate


async def test_a_secret_that_comes_late_is_not_waited_for_until_the_next_look_at_everything(
    operate: Operate, connected: Cluster, kafka: KafkaServer, redis_url: str
) -> None:
    await operate(RESYNC_S="300")
    await connected.stream("majors", ["BTCUSDT"], connectionSecretRef={"name": "late"})
    assert "there is no Secret late" in await connected.says("majors", "SpecValid", "False", "Invalid")
    await connected.connect(kafka.address, "postgresql://nobody@127.0.0.1:1/none", redis_url, name="late")
    await connected.has_deployments("majors", 2)
    await connected.says("majors", "SpecValid", "True")


SECRETS = "/api/v1/namespaces/{}/secrets"
SECURE = {
    "KAFKA_MODE": "strimzi", "KAFKA_CLUSTER": "main",
    "KAFKA_USER_SECRET": "main", "KAFKA_CA_SECRET": "main-cluster-ca-cert",
}  # fmt: skip


async def test_pods_use_the_secrets_of_strimzi(operate: Operate, connected: Cluster, strimzi: None) -> None:
    """The Secret of the authority also holds a binary store, which nobody uses."""
    await connected.put(SECRETS, authority_secret("main", "PEM"))
    await connected.put(SECRETS, user_secret("main", "pw"))
    await operate(**SECURE)
    await connected.stream("majors", ["BTCUSDT"])
    producer = next(each for name, each in (await connected.has_deployments("majors", 2)).items() if "producer" in name)
    await connected.says("majors", "SpecValid", "True")
    environment = await environment_of(connected, producer)
    assert (environment["KAFKA_SASL_USERNAME"], environment["KAFKA_SASL_PASSWORD"]) == ("main", "pw")
    (volume,) = [each for each in producer["spec"]["template"]["spec"]["volumes"] if "secret" in each]
    assert volume["secret"]["secretName"] == "main-cluster-ca-cert"
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": environment["KAFKA_CA_FILE"].rpartition("/")[2]}]
