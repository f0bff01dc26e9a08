"""The producer as a process of its own: its health, its memory, its end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import httpx
import psutil
import pytest
from marketstream.local.kafka import KafkaServer
from marketstream.local.loopback import free_port
from marketstream.settings import Settings

from tests.integration.producer.topics import read_until, trades_in

PROGRAM = """
from marketstream.producer.main import main
from marketstream.settings import Settings

main(Settings.from_environment())
"""
MOST_MEMORY = 80_000_000
START_LIMIT_S = 60
STOP_LIMIT_S = 15  # the goal is 5


@pytest.fixture
def settings(kafka: KafkaServer, topic_prefix: str) -> Settings:
    return Settings(
        kafka_bootstrap=kafka.address, topic_prefix=topic_prefix, exchange="simulator",
        symbols=("BTCUSDT", "ETHUSDT"), http_host="127.0.0.1", http_port=free_port(), log_format="json",
    )  # fmt: skip


@pytest.fixture
async def process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, **settings.to_environment()}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=environment)
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_a_producer_of_its_own(process: asyncio.subprocess.Process, settings: Settings) -> None:
    topic = f"{settings.topic_prefix}.simulator.btcusdt"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        async with asyncio.timeout(START_LIMIT_S):
            while not await is_ready(client):  # noqa: ASYNC110  another process
                await asyncio.sleep(0.1)
        await read_until(settings.kafka_bootstrap, topic, lambda records: len(trades_in(records)) > 20)
        metrics = (await client.get("/metrics")).text
    assert 'marketstream_producer_trades_total{symbol="BTCUSDT"}' in metrics
    assert "marketstream_producer_unacknowledged_records" in metrics
    assert "marketstream_refused_trades_total" in metrics
    assert psutil.Process(process.pid).memory_info().rss < MOST_MEMORY
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(STOP_LIMIT_S):
        assert await process.wait() == 0


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.get("/readyz")
    except httpx.TransportError:
        return False  # the process does not listen yet
    assert answer.is_success or "start" in answer.text
    return answer.is_success
