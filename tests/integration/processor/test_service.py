"""The start of a processor: its readiness until it can begin, and the limit of its patience."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.postgres.errors import StoreRefusedError, StoreUnavailableError
from marketstream.processor import metrics
from marketstream.processor.service import run_processor
from marketstream.service import Health
from marketstream.settings import Settings, SettingsError

from tests.harness.clients import within
from tests.harness.samples import sample
from tests.integration.processor.failover import set_read_only
from tests.integration.processor.market import KEY, LIMIT_S, Market, record, trade

NOBODY = "127.0.0.1:1"
NOT_YET = {"start": "Kafka, its topics or PostgreSQL are not available yet"}


@asynccontextmanager
async def starting(settings: Settings) -> AsyncIterator[Health]:
    """Start a processor in the block."""
    stop, health = asyncio.Event(), Health()
    processor = asyncio.create_task(run_processor(settings, stop, history=None, health=health))
    try:
        yield health
    finally:
        stop.set()
        await asyncio.wait_for(processor, LIMIT_S)


async def says(health: Health, problems: dict[str, str]) -> None:
    async def it_does() -> None:
        assert health.problems() == problems

    await within(LIMIT_S, it_does)


async def test_it_is_ready_once_all_that_it_waits_for_is_there(settings: Settings, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.{settings.exchange}.{settings.symbols[0].lower()}"
    async with starting(settings.but(topic_create=False)) as health:
        await says(health, NOT_YET)
        await asyncio.sleep(0.5)
        assert health.problems() == NOT_YET, "the topic is not there"
        await ensure_topics(settings, [topic])
        await says(health, {})


@pytest.mark.parametrize(
    ("away", "error", "said"),
    [
        ({"kafka_bootstrap": NOBODY}, BrokerUnavailableError, f"were not ready within 1 s at {NOBODY}"),
        ({"database_url": f"postgresql://x@{NOBODY}/x"}, StoreUnavailableError, "PostgreSQL did not answer within 1 s"),
    ],
)
async def test_it_ends_with_what_is_not_there_after_the_time_that_it_is_given(
    settings: Settings, away: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await run_processor(settings.but(start_limit_s=1, **away), asyncio.Event(), history=None)


async def test_a_read_only_server_is_waited_for(market: Market, settings: Settings, pool: asyncpg.Pool) -> None:
    await set_read_only(settings, is_on=True)
    with pytest.raises(StoreUnavailableError, match="did not accept writes within 1 s: it is read-only"):
        await run_processor(settings.but(start_limit_s=1), asyncio.Event(), history=None)
    async with starting(settings) as health:
        await says(health, NOT_YET)
        await asyncio.sleep(0.5)
        assert health.problems() == NOT_YET
        await set_read_only(settings, is_on=False)
        await says(health, {})
        await market.publish(record(trade(1, 0.5), trade(2, 1.5)))
        await market.stored(pool)


async def test_a_login_that_is_refused_ends_the_start_at_once(settings: Settings) -> None:
    with pytest.raises(StoreRefusedError, match="PostgreSQL refuses DATABASE_URL"):
        await run_processor(settings.but(database_url=settings.database_url + "x"), asyncio.Event(), history=None)


async def test_two_symbols_of_one_topic_are_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="'BTC/USDT' and 'BTC-USDT'"):
        await run_processor(settings.but(symbols=("BTC/USDT", "BTC-USDT")), asyncio.Event(), history=None)


async def test_heard_until_is_a_metric(market: Market, settings: Settings) -> None:
    trades = [trade(trade_id, 0.5 + trade_id / 4) for trade_id in range(3)]
    async with market.processed():
        await market.publish(record(*trades))

        async def it_says() -> None:
            assert sample(metrics.HEARD_UNTIL, **KEY._asdict()) == trades[-1].time / 1e6

        await within(LIMIT_S, it_says)
