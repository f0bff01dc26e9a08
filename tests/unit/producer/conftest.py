import pytest
from marketstream.producer import pipeline

from tests.unit.producer.scripted import Kafka


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """The Kafka to which producers of the test send."""
    kafka = Kafka()

    async def ensure_topics(*_: object) -> None: ...

    monkeypatch.setattr(pipeline, "ensure_topics", ensure_topics)
    monkeypatch.setattr(pipeline, "Publisher", lambda *_, **__: kafka)
    return kafka
