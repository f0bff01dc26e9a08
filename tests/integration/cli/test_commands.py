"""`marketstream tail` and `candles` as a user runs them, on real servers."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from marketstream import codec
from marketstream.kafka.admin import ensure_topics
from marketstream.local.kafka import KafkaServer
from marketstream.market.trade import Trade, Trades
from marketstream.postgres.migrate import migrate
from marketstream.settings import Settings

from tests.harness.rows import add_candles, add_symbol

RECEIVED = 1_610_064_046_400_000
LIMIT_S = 60


async def command(*arguments: str, cwd: Path, reader: str = "", **environment: str) -> tuple[int | None, str, str]:
    """Run `marketstream` with these arguments, piped through `reader`, and return its exit code, output and errors."""
    run = [sys.executable, "-m", "marketstream", *arguments]
    if reader:
        run = ["bash", "-c", f'set -o pipefail; "$@" | {reader}', "bash", *run]
    process = await asyncio.create_subprocess_exec(
        *run, cwd=cwd, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LIMIT_S):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
async def topic(kafka: KafkaServer, topic_prefix: str) -> str:
    """Create a topic with a record of trades, a heartbeat and a record that cannot be decoded."""
    topic = f"{topic_prefix}.binance.btcusdt"
    trades = Trades.of([Trade(1, 1, RECEIVED - 45_000, 3949176, 26300, False)], 2, 8)
    records = [
        codec.encode(codec.TradesRecord("binance", "BTCUSDT", RECEIVED, trades)),
        codec.encode(codec.Heartbeat("binance", "BTCUSDT", RECEIVED, RECEIVED, 1)),
        b"\xc1 no record",
    ]
    await ensure_topics(Settings(kafka_bootstrap=kafka.address), [topic])
    async with AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
        for record in records:
            await producer.send_and_wait(topic, record, partition=0)
    return topic


@pytest.fixture
def environment(kafka: KafkaServer, topic_prefix: str) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP": kafka.address, "TOPIC_PREFIX": topic_prefix}


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


async def test_tail_prints_a_topic_from_its_start(topic: str, environment: dict[str, str], tmp_path: Path) -> None:
    code, output, errors = await command("tail", "btcusdt", "--from-start", "--limit", "3", cwd=tmp_path, **environment)
    assert (code, errors) == (0, "")
    trades, heartbeat, broken = lines(output)
    assert (trades["topic"], trades["offset"], trades["kind"]) == (topic, 0, "trades")
    assert trades["trades"] == [
        {"id": 1, "time": "2021-01-08T00:00:46.355000Z", "price": "39491.76", "quantity": "0.000263", "taker": "sell"}
    ]
    assert (heartbeat["offset"], heartbeat["kind"]) == (1, "heartbeat")
    assert (broken["offset"], "error" in broken) == (2, True)


async def test_tail_prints_one_kind_and_broken_records(topic: str, environment: dict[str, str], tmp_path: Path) -> None:
    code, output, _ = await command(
        "tail", "--kind", "heartbeat", "--from-start", "--limit", "2", cwd=tmp_path, **environment
    )
    assert code == 0
    assert [line["offset"] for line in lines(output)] == [1, 2]


async def test_tail_ends_quietly_when_the_pipe_closes(topic: str, environment: dict[str, str], tmp_path: Path) -> None:
    trades = Trades.of([Trade(n, 1, RECEIVED, 3949176, 26300, False) for n in range(5000)], 2, 8)
    record = codec.encode(codec.TradesRecord("binance", "BTCUSDT", RECEIVED, trades))  # more text than a pipe holds
    async with AIOKafkaProducer(bootstrap_servers=environment["KAFKA_BOOTSTRAP"]) as producer:
        await producer.send_and_wait(topic, record, partition=0)
    code, output, errors = await command("tail", "--from-start", cwd=tmp_path, reader="head -c 1", **environment)
    assert (code, output, errors) == (0, "{", "")


async def test_tail_names_the_existing_topics(topic: str, environment: dict[str, str], tmp_path: Path) -> None:
    code, output, errors = await command("tail", "NOPE", cwd=tmp_path, **environment)
    assert (code, output) == (2, "")
    assert errors == f"marketstream tail: there is no topic for NOPE on any exchange; existing topics: {topic}\n"


async def test_tail_without_kafka(tmp_path: Path) -> None:
    code, _, errors = await command("tail", cwd=tmp_path, KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == 2
    assert errors.splitlines()[-1].startswith("marketstream tail: Kafka at 127.0.0.1:1 is unavailable")


async def test_candles_beside_a_local_run(database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url)
    await migrate(connection)
    await add_symbol(connection, "simulator", "BTCUSDT", 1610064020)
    await add_candles(
        connection,
        {"exchange": "simulator", "window_start": 1610064000, "complete": False, "incomplete_reason": "hole"},
        {"exchange": "simulator"},
    )
    await connection.close()
    (tmp_path / ".marketstream").mkdir()
    endpoints = {"kafka_bootstrap": "127.0.0.1:1", "database_url": database_url, "redis_url": "redis://127.0.0.1:1/0"}
    (tmp_path / ".marketstream" / "endpoints.json").write_text(json.dumps(endpoints))

    code, output, errors = await command("candles", "btcusdt", cwd=tmp_path, DATABASE_URL="")
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        "       window (UTC)      open      high       low     close     volume  trades",
        "2021-01-08 00:00:00  39479.22  39499.98  39460.39  39491.98  19.694925     328  ! hole",
        "2021-01-08 00:00:10  39479.22  39499.98  39460.39  39491.98  19.694925     328",
    ]
    code, output, _ = await command("candles", "BTCUSDT", "--json", "--limit", "1", cwd=tmp_path, DATABASE_URL="")
    assert code == 0
    assert [candle["window_start"] for candle in json.loads(output)] == [1610064010]


async def test_candles_without_a_database(tmp_path: Path) -> None:
    code, output, errors = await command(
        "candles", "BTCUSDT", cwd=tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing"
    )
    assert (code, output) == (2, "")
    assert errors.startswith("marketstream candles: PostgreSQL did not answer within 3 s")
