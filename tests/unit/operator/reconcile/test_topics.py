"""Topics of several streams: the state of one stream does not leak into another."""

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
from marketstream_operator.reconcile.topics import ExternalTopics, StrimziTopics
from marketstream_operator.resource.spec import Spec
from marketstream_operator.settings import OperatorSettings

OWNER = Owner(StreamKey("markets", "majors"), "u")
SPEC = Spec(exchange="binance", symbols=("BTCUSDT",))
SETTINGS = OperatorSettings()


def connection(credentials: str) -> Connection:
    return Connection({}, {}, Settings(kafka_bootstrap="kafka:9092", kafka_sasl_username=credentials), credentials)


async def test_a_kafka_that_refuses_one_streams_login_is_asked_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ensure(settings: Settings, *_: Any, patient: bool) -> None:
        assert not patient
        asked.append(settings.kafka_sasl_username)
        if settings.kafka_sasl_username == "wrong":
            raise BrokerUnavailableError("no answer")

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    external = ExternalTopics(SETTINGS)
    for _ in range(2):
        refused = await external.ensure(OWNER, SPEC, SPEC.symbols, connection("wrong"))
        assert refused.reason == "KafkaUnavailable"
        assert (await external.ensure(OWNER, SPEC, SPEC.symbols, connection("right"))).is_ready
    assert asked == ["wrong", "right"], "neither Kafka receives another request at once"


@pytest.mark.parametrize("cause", [None, OSError("no route"), OSError("no leader of trades.binance.btcusdt")])
async def test_a_kafka_that_is_away_is_told_to_each_stream_without_the_topics_of_another(
    monkeypatch: pytest.MonkeyPatch, cause: OSError | None
) -> None:
    async def ensure(_: Settings, names: list[str], *__: Any, patient: bool) -> None:
        assert not patient
        raise BrokerUnavailableError(f"the topics {names} could not be made") from cause

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    external = ExternalTopics(SETTINGS)
    told = [
        (await external.ensure(OWNER, SPEC, symbols, connection(""))).message for symbols in (["BTCUSDT"], ["ETHUSDT"])
    ]
    assert told[0] == told[1]
    assert told[0].startswith("Kafka at kafka:9092 cannot be used: ")
    assert "btcusdt" not in told[0]
    assert cause is None or ("no route" in told[0]) == ("no route" in str(cause))


async def test_topics_that_were_there_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure(*_: Any, patient: bool) -> None:
        assert not patient

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    external, now = ExternalTopics(SETTINGS), 1000.0
    monkeypatch.setattr(topics.time, "monotonic", lambda: now)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        await external.ensure(OWNER, SPEC, [symbol], connection(""))
        now += topics.TRUSTED_S
    assert [name for *_, name in external._seen] == ["trades.binance.ethusdt"]


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
