"""The topics of symbols: in Kafka itself, or as KafkaTopic objects of Strimzi."""

from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from marketstream.kafka.topics import topic_name
from marketstream.local.kafka import KafkaServer
from marketstream_operator.names import topic_object
from marketstream_operator.reconcile.topics import KAFKA_S

from tests.harness.operator.playing import TOPICS, Market, put_status
from tests.harness.operator.running import STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

STRIMZI = {"KAFKA_MODE": "strimzi", "KAFKA_CLUSTER": "main", "TOPIC_REPLICATION": "3"}


async def topics_of(kafka: KafkaServer, prefix: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        return {topic for topic in await admin.list_topics() if topic.startswith(prefix)}
    finally:
        await admin.close()


async def retention_of(kafka: KafkaServer, topic: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        entries = answer.resources[0][4]
        return next(str(entry[1]) for entry in entries if entry[0] == "retention.ms")
    finally:
        await admin.close()


async def test_topics_are_made_in_kafka_and_never_deleted(market: Market, kafka: KafkaServer) -> None:
    await market.stream("majors", ["XRPUSDT", "ADAUSDT"], retention={"trades": "48h"})
    await market.says("majors", "KafkaReady", "True", "TopicsReady")
    xrp, ada = (f"{market.topic_prefix}.simulator.{name}" for name in ("xrpusdt", "adausdt"))
    assert {xrp, ada} <= await topics_of(kafka, market.topic_prefix)
    assert await retention_of(kafka, xrp) == str(48 * 3600 * 1000)
    await market.change("majors", symbols=["XRPUSDT"])
    await market.has_deployments("majors", 2)
    await market.delete(STREAMS, "majors")
    await market.stream("majors", ["DOGEUSDT"])  # reconciled after those
    await market.says("majors", "KafkaReady", "True", "TopicsReady")
    assert {xrp, ada} <= await topics_of(kafka, market.topic_prefix)


async def test_topics_that_somebody_else_makes_are_waited_for(
    connected: Cluster, operate: Operate, kafka: KafkaServer, topic_prefix: str
) -> None:
    await operate(TOPICS_CREATE="false")
    await connected.stream("majors", ["BTCUSDT"])
    await connected.has_deployments("majors", 2)  # the pods wait for the topic as well
    topic = f"{topic_prefix}.simulator.btcusdt"
    assert topic in await connected.says("majors", "KafkaReady", "False", "TopicsNotReady")
    assert await topics_of(kafka, topic_prefix) == set()
    await make_topic(kafka, topic)
    await connected.says("majors", "KafkaReady", "True", "TopicsReady", 40)


async def make_topic(kafka: KafkaServer, topic: str, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def test_a_topic_that_would_lose_the_order_is_refused(market: Market, kafka: KafkaServer) -> None:
    await make_topic(kafka, f"{market.topic_prefix}.simulator.twousdt", 2)
    await market.stream("majors", ["TWOUSDT"])
    assert "has 2 partitions: expected 1" in await market.says("majors", "KafkaReady", "False", "TopicsNotReady")


async def test_without_kafka_pods_are_made_all_the_same_and_topics_when_it_is_there(
    market: Market, kafka: KafkaServer
) -> None:
    await market.connect("127.0.0.1:1", "postgresql://x@127.0.0.1:1/x", market.redis_url, name="away")
    await market.stream("majors", ["BTCUSDT"], connectionSecretRef={"name": "away"})
    await market.has_deployments("majors", 2, KAFKA_S - 1)  # the Deployments do not wait for Kafka
    await market.says("majors", "KafkaReady", "False", "KafkaUnavailable")
    await market.says("majors", "Degraded", "True", "KafkaUnavailable")
    base = await market.get("/api/v1/namespaces/{}/secrets", "marketstream-connection")
    await market.patch("/api/v1/namespaces/{}/secrets", "away", {"data": base["data"]})
    await market.says("majors", "KafkaReady", "True", "TopicsReady")
    await market.delete("/api/v1/namespaces/{}/secrets", "away")


@pytest.fixture
async def strimzi_market(connected: Cluster, operate: Operate, strimzi: None) -> Cluster:
    """A namespace with an operator that leaves topics to Strimzi."""
    await operate(**STRIMZI)
    return connected


async def kafka_topics(cluster: Cluster) -> dict[str, Any]:
    return {each["metadata"]["name"].rpartition(".")[2]: each for each in (await cluster.get(TOPICS))["items"]}


async def has_topics(cluster: Cluster, *symbols: str) -> dict[str, Any]:
    async def it_has() -> dict[str, Any] | None:
        found = await kafka_topics(cluster)
        return found if sorted(found) == sorted(symbols) else None

    return await until(it_has)


async def make_ready(cluster: Cluster) -> None:
    """Mark KafkaTopics as ready, as Strimzi's topic operator does."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T12:00:00Z"}
    for topic in (await cluster.get(TOPICS))["items"]:
        await put_status(cluster, TOPICS, topic["metadata"]["name"], {"conditions": [ready]})


async def test_kafka_topics_follow_the_symbols_and_strimzi_says_when_they_are_there(
    strimzi_market: Cluster, topic_prefix: str
) -> None:
    cluster = strimzi_market
    stream = await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"], retention={"trades": "48h"})
    topics = await has_topics(cluster, "btcusdt", "ethusdt")
    topic = topics["btcusdt"]
    assert topic["spec"] == {"partitions": 1, "replicas": 3, "config": {"retention.ms": str(48 * 3600 * 1000)}}
    assert topic["metadata"]["name"] == f"{topic_prefix}.simulator.btcusdt"
    assert topic["metadata"]["labels"]["strimzi.io/cluster"] == "main"
    assert topic["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "marketstream-operator"
    (owner,) = topic["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["blockOwnerDeletion"]) == (stream["metadata"]["uid"], False)

    await cluster.says("majors", "KafkaReady", "False", "TopicsNotReady", words="2 of 2")
    refused = {"type": "Ready", "status": "False", "reason": "KafkaError", "message": "replication factor: 3"}
    await put_status(cluster, TOPICS, topic["metadata"]["name"], {"conditions": [refused]})
    await cluster.says("majors", "KafkaReady", "False", "TopicsNotReady", words="replication factor: 3")
    await make_ready(cluster)
    await cluster.says("majors", "KafkaReady", "True", "TopicsReady")

    await cluster.change("majors", symbols=["BTCUSDT", "SOLUSDT"])
    await has_topics(cluster, "btcusdt", "solusdt")
    await cluster.change("majors", retention={"trades": "24h"})

    async def changed() -> bool:
        found = await kafka_topics(cluster)
        return {each["spec"]["config"]["retention.ms"] for each in found.values()} == {str(24 * 3600 * 1000)}

    await until(changed)
    await cluster.patch(TOPICS, topic["metadata"]["name"], {"spec": {"config": {"retention.ms": "1"}}})
    await until(changed)  # the operator undoes it


async def test_a_symbol_of_any_script_has_a_topic_of_its_name(strimzi_market: Cluster, topic_prefix: str) -> None:
    cluster = strimzi_market
    await cluster.stream("majors", ["币安人生USDT"])
    name = topic_name(topic_prefix, "simulator", "币安人生USDT")
    topics = await has_topics(cluster, topic_object(name).rpartition(".")[2])
    (topic,) = topics.values()
    assert (topic["metadata"]["name"], topic["spec"]["topicName"]) == (topic_object(name), name)
    await make_ready(cluster)
    await cluster.says("majors", "KafkaReady", "True", "TopicsReady")
    await cluster.has_deployments("majors", 2)
    await cluster.change("majors", symbols=["BTCUSDT"])
    await has_topics(cluster, "btcusdt")


async def test_topics_that_are_to_be_kept_belong_to_nobody_and_stay(strimzi_market: Cluster) -> None:
    cluster = strimzi_market
    await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"], retention={"onDelete": "keep"})
    topics = await has_topics(cluster, "btcusdt", "ethusdt")
    assert "ownerReferences" not in topics["btcusdt"]["metadata"]
    assert "app.kubernetes.io/instance" not in topics["btcusdt"]["metadata"]["labels"]  # by which Argo CD prunes
    await cluster.change("majors", symbols=["BTCUSDT"])
    await cluster.has_deployments("majors", 2)
    await has_topics(cluster, "btcusdt", "ethusdt")
    await cluster.change("majors", retention={"onDelete": "delete"})

    async def owned() -> bool:
        return "ownerReferences" in (await kafka_topics(cluster))["btcusdt"]["metadata"]

    await until(owned)
    await cluster.change("majors", retention={"onDelete": "keep"})

    async def free() -> bool:
        return not await owned()

    await until(free)


async def test_a_topic_that_is_to_be_kept_from_now_on_stays_though_its_symbol_goes_at_once(
    strimzi_market: Cluster,
) -> None:
    """With an ownerReference, the topic would later be deleted together with the stream."""
    cluster = strimzi_market
    await cluster.stream("majors", ["BTCUSDT", "ETHUSDT"])
    topics = await has_topics(cluster, "btcusdt", "ethusdt")
    assert all("ownerReferences" in topic["metadata"] for topic in topics.values())
    await cluster.change("majors", symbols=["BTCUSDT"], retention={"onDelete": "keep"})

    async def free() -> bool:
        return not any("ownerReferences" in topic["metadata"] for topic in (await kafka_topics(cluster)).values())

    await until(free)
    await has_topics(cluster, "btcusdt", "ethusdt")
    await cluster.change("majors", symbols=["BTCUSDT", "ETHUSDT"], retention={"onDelete": "delete"})

    async def owned() -> bool:
        return all("ownerReferences" in topic["metadata"] for topic in (await kafka_topics(cluster)).values())

    await until(owned)  # topics of symbols that return as well


async def test_a_stream_where_strimzi_makes_no_topics_is_told(
    connected: Cluster, operate: Operate, strimzi: None
) -> None:
    elsewhere = Cluster(connected.api, await connected.api.namespace())
    await operate(**STRIMZI, WATCH_NAMESPACES=f"{connected.namespace},{elsewhere.namespace}")
    await elsewhere.stream("majors", ["BTCUSDT"])
    message = await elsewhere.says("majors", "SpecValid", "False", "Invalid")
    assert f"only in namespace {connected.namespace}" in message
    assert await elsewhere.deployments() == {}
    await connected.api.delete_namespace(elsewhere.namespace)
