"""The log lines of libraries that reach the operator's log."""

import logging
import ssl
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
from marketstream_operator import cli

NAMES = ("kopf", "kopf.objects", "aiokafka", "aiokafka.client")


@pytest.fixture
def quietened() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger, logger.level, logger.filters[:]) for logger in loggers]
    cli._quieten_libraries()
    yield
    for logger, level, filters in before:
        logger.setLevel(level)
        logger.filters[:] = filters


@pytest.mark.usefixtures("quietened")
def test_why_kafka_refuses_a_login_is_told_once_and_nothing_else_of_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(cli, "time", SimpleNamespace(monotonic=lambda: now[0]))
    client = logging.getLogger("aiokafka.client")
    refused, untrusted = SaslAuthenticationFailed("bad credentials"), ssl.SSLError("self-signed certificate")
    for _ in range(3):
        client.error('Unable connect to "%s:%s": %s', "kafka", 9092, refused)
        client.error("Unable connect to node with id %s: %s", 1, untrusted)
        client.error('Unable connect to "%s:%s": %s', "kafka", 9092, KafkaConnectionError("refused"))
        client.error("Unable to update metadata from %s", [0])
        client.error("nothing is known")
        client.warning("of no matter: %s", refused)
        logging.getLogger("aiokafka.conn").error("noise: %s", refused)
    said = [
        'Unable connect to "kafka:9092": [Error 58] SaslAuthenticationFailed: bad credentials',
        "Unable connect to node with id 1: ('self-signed certificate',)",
    ]
    assert caplog.messages == said
    now[0] += cli.REFUSED_S
    client.error('Unable connect to "%s:%s": %s', "kafka", 9092, refused)
    assert caplog.messages == [*said, said[0]]
