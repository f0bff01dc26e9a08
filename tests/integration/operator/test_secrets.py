"""Secrets that are created later than the MarketStream that needs them, and Secrets that Strimzi creates."""

from marketstream.local.kafka import KafkaServer

from tests.harness.operator.playing import environment_of, settle
from tests.harness.operator.running import STREAMS, Cluster, until
from tests.harness.operator.strimzi import authority_secret, user_secret
from tests.integration.operator.conftest import Operate
from tests.integration.operator.test_topics import make_ready


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
EVENTS = "/api/v1/namespaces/{}/events"
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


async def test_a_stream_whose_kafka_user_is_still_being_made_is_under_way(
    operate: Operate, connected: Cluster, strimzi: None
) -> None:
    """On a real cluster, Strimzi takes 50 s for the Secret of a user."""
    await connected.put(SECRETS, authority_secret("main", "PEM"))
    await operate(**SECURE)
    await connected.stream("majors", ["BTCUSDT", "ETHUSDT"])
    assert "Secret main" in await connected.says("majors", "Progressing", "True", "WaitingForSecret")
    status = (await connected.get(STREAMS, "majors"))["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "Ready": "False", "Progressing": "True", "Degraded": "False", "SpecValid": "True", "KafkaReady": "Unknown",
        "ProducersReady": "False", "ProcessorsReady": "False", "Fresh": "Unknown", "Paused": "False",
        "Reconciling": "True", "Stalled": "False",
    }  # fmt: skip
    assert (status["reason"], status["symbolCount"], status["pairs"]["summary"]) == ("WaitingForSecret", 2, "0/2")
    await connected.put(SECRETS, user_secret("main", "pw"))
    await connected.has_deployments("majors", 4)
    await connected.says("majors", "KafkaReady", "False", "TopicsNotReady")
    await make_ready(connected)
    await connected.says("majors", "KafkaReady", "True", "TopicsReady")

    async def recorded() -> list[tuple[str, str]]:
        found = (await connected.get(EVENTS))["items"]
        return [(each["type"], each["reason"]) for each in found if each["involvedObject"]["name"] == "majors"]

    await until(recorded)
    assert await recorded() == [("Normal", "TopicsReady")]

    await settle(connected)
    await connected.says("majors", "Ready", "True", "Running")
    await connected.delete(SECRETS, "main")  # as to have the password replaced
    await connected.says("majors", "Progressing", "True", "WaitingForSecret")
    assert (await connected.condition("majors", "Ready"))[:2] == ("True", "Running")
    assert "Warning" not in {tone for tone, _ in await recorded()}
