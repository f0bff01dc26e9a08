"""Topics of several streams: the state of one stream does not leak into another."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.topics import topic_name
from marketstream.settings import Settings
from marketstream_operator.cluster.access import Cluster
from marketstream_operator.cluster.apply import Applier
from marketstream_operator.cluster.claims import Claimant, Claims
from marketstream_operator.cluster.observed import Observed
from marketstream_operator.cluster.projections import Topic
from marketstream_operator.kinds import KAFKA_TOPIC
from marketstream_operator.names import StreamKey, symbol_identity, topic_object
from marketstream_operator.plan.connection import Connection
from marketstream_operator.plan.desired import Owner
from marketstream_operator.reconcile import topics
from marketstream_operator.reconcile.probers import Probers
from marketstream_operator.reconcile.topics import PENDING, ExternalTopics, StrimziTopics, TopicState
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

from tests.unit.operator.reconcile.fakes import answered

OWNER = Owner(StreamKey("markets", "majors"), "u")
SPEC = Spec(exchange="binance", symbols=("BTCUSDT",))
SETTINGS = OperatorSettings()


def connection(credentials: str) -> Connection:
    return Connection({}, {}, Settings(kafka_bootstrap="kafka:9092", kafka_sasl_username=credentials), credentials)


class World:
    """Topics of several streams, and the streams that were told of an answer."""

    def __init__(self) -> None:
        self.told: list[StreamKey] = []
        self.probers = Probers(self.told.append)
        self.external = ExternalTopics(SETTINGS, self.probers)

    async def state(self, credentials: str, symbols: Sequence[str] = ("BTCUSDT",), name: str = "majors") -> TopicState:
        """Return the state of a stream's topics once Kafka has answered."""
        owner = Owner(StreamKey("markets", name), "u")
        asked = await self.external.ensure(owner, SPEC, symbols, connection(credentials))
        await answered(self.probers)
        return await self.external.ensure(owner, SPEC, symbols, connection(credentials)) if asked is PENDING else asked


async def test_a_kafka_that_refuses_one_streams_login_is_asked_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ensure(settings: Settings, *_: Any, patient: bool) -> None:
        assert not patient
        asked.append(settings.kafka_sasl_username)
        if settings.kafka_sasl_username == "wrong":
            raise BrokerUnavailableError("no answer")

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    world = World()
    for _ in range(2):
        assert (await world.state("wrong", name="one")).reason == "KafkaUnavailable"
        assert (await world.state("right", name="other")).is_ready
    assert asked == ["wrong", "right"], "neither Kafka receives another request at once"
    assert [key.name for key in world.told] == ["one", "other"]


@pytest.mark.parametrize("cause", [None, OSError("no route"), OSError("no leader of trades.binance.btcusdt")])
async def test_a_kafka_that_is_away_is_told_to_each_stream_without_the_topics_of_another(
    monkeypatch: pytest.MonkeyPatch, cause: OSError | None
) -> None:
    async def ensure(_: Settings, names: Sequence[str], *__: Any, patient: bool) -> None:
        assert not patient
        raise BrokerUnavailableError(f"the topics {names} could not be made") from cause

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    world = World()
    told = [(await world.state("", [symbol], symbol)).message for symbol in ("BTCUSDT", "ETHUSDT")]
    assert told[0] == told[1]
    assert told[0].startswith("Kafka at kafka:9092 cannot be used: ")
    assert "btcusdt" not in told[0]
    assert cause is None or ("no route" in told[0]) == ("no route" in str(cause))


async def test_topics_are_pending_until_kafka_has_answered_and_not_asked_for_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Sequence[str]] = []
    answer = asyncio.Event()

    async def ensure(_: Settings, names: Sequence[str], *__: Any, patient: bool) -> None:
        assert not patient
        asked.append(names)
        await answer.wait()

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    world = World()
    for _ in range(3):
        assert await world.external.ensure(OWNER, SPEC, SPEC.symbols, connection("")) is PENDING
        await asyncio.sleep(0)
    answer.set()
    await answered(world.probers)
    assert (await world.external.ensure(OWNER, SPEC, SPEC.symbols, connection(""))).is_ready
    assert asked == [("trades.binance.btcusdt",)]
    assert await world.external.ensure(OWNER, SPEC, ["ETHUSDT"], connection("")) is PENDING


class Deletions:
    """An API that only deletes."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def delete(self, *given: Any) -> None:
        self.names.append(given[2])


async def test_a_topic_that_another_stream_wants_is_handed_over_with_its_trades() -> None:
    api, observed, claims = Deletions(), Observed(), Claims()
    for symbol in ("ETHUSDT", "SOLUSDT", "币安人生USDT", "币安USDT"):
        topic = topic_name("trades", "binance", symbol)
        name = topic_object(topic)
        given = topic if name != topic else ""
        observed.see(KAFKA_TOPIC, Topic(OWNER.key, name, symbol, 1, OWNER.uid, "d", "m", True, "", given))
    claims.claim(
        Claimant("2026-01-01T00:00:00Z", "o", StreamKey("markets", "other")),
        [symbol_identity("binance", symbol) for symbol in ("ETHUSDT", "币安人生USDT")],
    )
    cluster = Cluster(api, observed, claims, Applier(api, observed, "markets/one"))  # type: ignore[arg-type]
    await StrimziTopics(SETTINGS, cluster).ensure(OWNER, SPEC, (), connection(""))
    assert api.names == ["trades.binance.solusdt", topic_object(topic_name("trades", "binance", "币安USDT"))]
