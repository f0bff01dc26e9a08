import pytest
from marketstream.kafka.usable import UsableTopics
from marketstream.producer import pipeline

from tests.unit.producer.scripted import Kafka


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """The Kafka to which producers of the test send."""
    kafka = Kafka()

    async def begin(_: UsableTopics) -> None: ...

    monkeypatch.setattr(UsableTopics, "begin", begin)
    monkeypatch.setattr(pipeline, "Publisher", lambda *_, **__: kafka)
    return kafka
