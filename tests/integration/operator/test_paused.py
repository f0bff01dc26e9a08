"""`paused: true`: producers stop, then processors count the remaining trades in Kafka, and stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from marketstream.exchanges.registry import history_of
from marketstream.kafka.positions import group_positions
from marketstream.kafka.topics import topic_name
from marketstream.local.kafka import KafkaServer
from marketstream.processor.service import run_processor
from marketstream.producer.service import run_producer
from marketstream.settings import Settings
from marketstream_operator.names import StreamKey, consumer_group, pair_of_symbol

from tests.harness.operator.playing import Market, add_pod, environment_of, settle
from tests.harness.operator.running import DEPLOYMENTS, PODS, STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

SYMBOL = "BTCUSDT"
PAIR = pair_of_symbol(SYMBOL)
PRODUCER, PROCESSOR = f"majors-{PAIR}-producer", f"majors-{PAIR}-processor"
LONG = 40.0


async def replicas(cluster: Cluster) -> dict[str, int]:
    """Return the number of wanted pods of each role."""
    found = await cluster.deployments("majors")
    return {name.rpartition("-")[2]: one["spec"]["replicas"] for name, one in found.items()}


async def rests(cluster: Cluster, *roles: str) -> None:
    """Wait until the Deployments of these roles have no replicas, and the others have one."""

    async def so_it_is() -> bool:
        return await replicas(cluster) == {role: int(role not in roles) for role in ("producer", "processor")}

    await until(so_it_is)


async def put_records(kafka: KafkaServer, topic: str, count: int = 3) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
        for _ in range(count):
            await producer.send_and_wait(topic, b"any")


async def commit(kafka: KafkaServer, cluster: Cluster, topic: str, offset: int) -> None:
    """Commit an offset, as the processor of a pair does."""
    group = consumer_group(StreamKey(cluster.namespace, "majors"), PAIR)
    async with AIOKafkaConsumer(bootstrap_servers=kafka.address, group_id=group, enable_auto_commit=False) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(offset, "")})


@pytest.fixture
def symbol_topic(market: Market) -> str:
    return topic_name(market.topic_prefix, "simulator", SYMBOL)


@asynccontextmanager
async def served(settings: Sequence[Settings]) -> AsyncIterator[list[asyncio.Event]]:
    """A producer and a processor, as their containers would run. Setting its event ends each of them."""
    stops = [asyncio.Event(), asyncio.Event()]
    producer, processor = settings
    tasks = [
        asyncio.create_task(run_producer(producer, stops[0])),
        asyncio.create_task(run_processor(processor, stops[1], history=history_of(processor))),
    ]
    try:
        yield stops
    finally:
        for stop in stops:
            stop.set()
        await asyncio.gather(*tasks)


async def test_a_running_pair_is_drained_to_the_last_record_and_goes_on(
    market: Market, kafka: KafkaServer, database_url: str
) -> None:
    """The services run in the process of the test, with the environment of their containers."""
    await market.connect(kafka.address, database_url, market.redis_url, name="real")
    await market.stream("majors", [SYMBOL], connectionSecretRef={"name": "real"})
    await market.says("majors", "KafkaReady", "True")
    made = await market.has_deployments("majors", 2)
    read = [Settings.from_environment(await environment_of(market, made[name])) for name in (PRODUCER, PROCESSOR)]
    topic = topic_name(market.topic_prefix, "simulator", SYMBOL)
    group = consumer_group(StreamKey(market.namespace, "majors"), PAIR)
    async with served(read) as stops:
        await settle(market)
        await add_pod(market, made[PRODUCER], "ending")
        await market.says("majors", "Fresh", "True", "Heard", LONG)
        await market.change("majors", paused=True)
        await rests(market, "producer")
        await market.says("majors", "Paused", "False", "Draining")
        await settle(market, PRODUCER)  # status.replicas omits terminating pods
        stops[0].set()
        await market.says("majors", "Paused", "False", "Draining", words="1 producer pod has not stopped yet")
        await market.delete(PODS, "ending")
        await market.says("majors", "Paused", "True", "Drained", LONG)
        position = (await group_positions(read[1], group, [topic]))[topic]
        assert position.committed == position.end > 0
        await rests(market, "producer", "processor")
        await market.says("majors", "Fresh", "Unknown", "Paused")
        await market.says("majors", "Ready", "True", "Paused")
    await market.change("majors", paused=False)
    await rests(market)
    await market.says("majors", "Paused", "False", "NotPaused")
    await market.delete("/api/v1/namespaces/{}/secrets", "real")


async def test_processors_stop_only_when_what_is_committed_has_reached_the_end(
    market: Market, kafka: KafkaServer, symbol_topic: str
) -> None:
    await market.stream("majors", [SYMBOL])
    await market.says("majors", "KafkaReady", "True")
    await market.has_deployments("majors", 2)
    await put_records(kafka, symbol_topic)
    async with AIOKafkaConsumer(bootstrap_servers=kafka.address) as consumer:
        partition = TopicPartition(symbol_topic, 0)
        end = (await consumer.end_offsets([partition]))[partition]
    await market.change("majors", paused=True)
    await rests(market, "producer")
    await settle(market)
    await commit(kafka, market, symbol_topic, end - 1)
    await market.says("majors", "Paused", "False", "Draining", words="have not reached the end")
    assert (await replicas(market))["processor"] == 1
    await commit(kafka, market, symbol_topic, end)
    await market.says("majors", "Paused", "True", "Drained")
    await rests(market, "producer", "processor")


async def test_producers_that_were_not_told_yet_may_still_write(market: Market) -> None:
    """There is no pod, but the controller of Deployments may be about to create one. None is running here."""
    await market.stream("majors", ["NEWUSDT"])  # nothing is in its topic
    await market.says("majors", "KafkaReady", "True")
    await market.has_deployments("majors", 2)
    await market.change("majors", paused=True)
    await rests(market, "producer")
    await market.says("majors", "Paused", "False", "Draining", words="1 of 1 producers")
    assert (await replicas(market))["processor"] == 1
    await settle(market)
    await market.says("majors", "Paused", "True")
    await rests(market, "producer", "processor")


async def test_after_a_while_processors_stop_all_the_same(
    connected: Cluster, operate: Operate, kafka: KafkaServer, topic_prefix: str
) -> None:
    await operate(DRAIN_LIMIT_S="10")  # what comes before must be seen even on a machine that halts now and then
    await connected.stream("majors", [SYMBOL])
    await connected.says("majors", "KafkaReady", "True")
    await connected.has_deployments("majors", 2)
    await put_records(kafka, topic_name(topic_prefix, "simulator", SYMBOL))
    await connected.change("majors", paused=True)
    await rests(connected, "producer")
    await settle(connected)
    message = await connected.says("majors", "Paused", "True", "DrainTimeout", LONG)
    assert "read on resume" in message
    await rests(connected, "producer", "processor")
    await connected.change("majors", processor={"logLevel": "debug"})  # causes another reconcile

    async def looked_at() -> bool:
        return bool((await connected.get(STREAMS, "majors"))["status"]["observedGeneration"] == 3)

    await until(looked_at)
    assert (await connected.condition("majors", "Paused"))[:2] == ("True", "DrainTimeout")
    await connected.change("majors", paused=False)
    await rests(connected)
    await connected.says("majors", "Paused", "False", "NotPaused")


async def test_whether_it_was_drained_is_asked_when_nobody_has_said_so(
    connected: Cluster, operate: Operate, kafka: KafkaServer, topic_prefix: str
) -> None:
    """A killed operator may have stopped the processors, perhaps at the time limit, without reporting it."""
    first = await operate()
    await connected.stream("majors", [SYMBOL])
    await connected.says("majors", "KafkaReady", "True")
    await connected.has_deployments("majors", 2)
    await put_records(kafka, topic_name(topic_prefix, "simulator", SYMBOL))
    await connected.change("majors", paused=True)
    await rests(connected, "producer")
    await connected.says("majors", "Paused", "False", "Draining")
    await first.end()
    await connected.patch(DEPLOYMENTS, PROCESSOR, {"spec": {"replicas": 0}})
    await settle(connected)
    await operate()
    await connected.says("majors", "Paused", "True", "DrainTimeout", words="before they had read everything")
    await rests(connected, "producer", "processor")


async def test_a_stream_that_is_paused_from_the_beginning(market: Market) -> None:
    await market.stream("majors", [SYMBOL], paused=True)
    await market.has_deployments("majors", 2)
    await rests(market, "producer", "processor")
    await market.says("majors", "Paused", "True", "Paused")
    await market.says("majors", "Ready", "True", "Paused")
    await market.change("majors", symbols=[SYMBOL, "ETHUSDT"])
    found = await market.has_deployments("majors", 4)
    assert {one["spec"]["replicas"] for one in found.values()} == {0}
    await market.change("majors", paused=False, symbols=[SYMBOL])
    await market.has_deployments("majors", 2)
    await rests(market)
