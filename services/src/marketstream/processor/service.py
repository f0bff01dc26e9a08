"""The processor: read trades, keep the account of their ids, store candles and publish live state.

Nine tasks share the owned symbols in one event loop. They need no locks, because none of them awaits in the middle of
a change.
"""

import asyncio
import contextlib
import time
from typing import Final

from marketstream.backfill.service import Backfill
from marketstream.backoff import delays
from marketstream.exchanges.base import Exchange
from marketstream.kafka.consumer import Consumer
from marketstream.kafka.errors import BrokerUnavailableError
from marketstream.kafka.publisher import Publisher
from marketstream.kafka.topics import topic_names, topic_problem
from marketstream.kafka.usable import UsableTopics
from marketstream.postgres.connect import Pool, check_address, close_pool, lazy_pool, wait_for
from marketstream.postgres.migrate import migrate
from marketstream.postgres.writer import SymbolKey, Writer
from marketstream.processor import metrics
from marketstream.processor.claimer import Claimer
from marketstream.processor.committer import Committer
from marketstream.processor.holdings import Holdings
from marketstream.processor.publisher import LivePublisher
from marketstream.processor.reader import read_records
from marketstream.processor.symbol import OwnedSymbol
from marketstream.redis.client import check_server, connect
from marketstream.redis.writer import LiveWriter
from marketstream.service import Health, run_until
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

FAILING_LIMIT_S: Final = 30.0
"""Seconds for which commits may fail before the service is not ready."""

MOST_QUIET_S: Final = 120.0
"""Maximum seconds without a trade before the exchange is asked whether the market is quiet, for any MAX_AGE_S.

Windows should not stay unproven for half an hour.
"""

END_TASKS_S: Final = 2.0
"""Seconds within which the tasks must end. A task that waits for a frozen server is abandoned."""

LAST_COMMIT_S: Final = 2.0
"""Maximum seconds for the last commit when the service stops."""


async def run_processor(
    settings: Settings, stop: asyncio.Event, *, history: Exchange | None, health: Health | None = None
) -> None:
    """Process the symbols of the settings until `stop` is set.

    Holes are filled from `history`. If it is None, they stay until their trades arrive. Raise SettingsError, StoreError
    or BrokerError if processing cannot begin.
    """
    settings.require("kafka_bootstrap", "database_url", "redis_url", "exchange", "symbols")
    check_address(settings)
    topics = topic_names(settings.topic_prefix, settings.exchange, settings.symbols)
    keys = {topic: SymbolKey(settings.exchange, symbol) for topic, symbol in topics.items()}
    health = health or Health()
    started = asyncio.Event()
    health.add("start", lambda: None if started.is_set() else "Kafka, its topics or PostgreSQL are not available yet")
    usable = UsableTopics(settings, keys)
    if not await run_until(stop, usable.begin()):
        return
    async with contextlib.AsyncExitStack() as stack:
        pool = await lazy_pool(settings, size=4)
        stack.push_async_callback(close_pool, pool)
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        await check_server(redis)
        if await run_until(stop, _prepare(pool, settings.start_limit_s)):
            live = LiveWriter(redis, settings.default_exchange)
            await _Processor(settings, keys, usable, Writer(pool), live, history, health, started).run(stop)


async def _prepare(pool: Pool, limit_s: float) -> None:
    await wait_for(pool, limit_s, to_write=True)
    await migrate(pool)


class _Processor:
    def __init__(
        self,
        settings: Settings,
        keys: dict[str, SymbolKey],
        usable: UsableTopics,
        writer: Writer,
        live: LiveWriter,
        history: Exchange | None,
        health: Health,
        started: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._usable = usable
        self._writer = writer
        self._live = live
        self._history = history
        self._health = health
        self._started = started

    async def run(self, stop: asyncio.Event) -> None:
        """Run consumers until `stop` is set. After an error, a new consumer resumes from the stored progress."""
        for delay in delays(0.2, 5.0):
            try:
                await self._consume(stop)
            except BrokerUnavailableError as error:
                log.warning("consumer failed, will restart", error=str(error), retry_s=round(delay, 1))
            if await _stopped_within(stop, delay):
                return

    async def _consume(self, stop: asyncio.Event) -> None:
        holdings = Holdings()
        topics = [topic for topic in self._keys if topic not in self._usable.waiting]
        consumer = Consumer(self._settings, topics, assigned=holdings.assign, revoked=holdings.revoke)
        committer = Committer(self._settings, holdings, self._writer)
        claimer = Claimer(
            self._settings,
            holdings,
            self._keys,
            writer=self._writer,
            live=self._live,
            consumer=consumer,
            committer=committer,
        )
        publisher = LivePublisher(self._settings, holdings, self._live, consumer)
        if not await run_until(stop, consumer.start()):
            await consumer.stop()
            return
        self._started.set()
        tasks = {
            "reader": asyncio.create_task(read_records(holdings, consumer)),
            "claimer": asyncio.create_task(claimer.run()),
            "committer": asyncio.create_task(committer.run()),
            "group": asyncio.create_task(committer.commit_offsets(consumer)),
            "publisher": asyncio.create_task(publisher.run()),
            "joining": asyncio.create_task(self._usable.run(consumer.add)),
            "metrics": asyncio.create_task(_measure(holdings, consumer)),
            "troubles": asyncio.create_task(self._measure_troubles(consumer)),
        }
        if self._history is not None:
            tasks["backfill"] = asyncio.create_task(_backfill(self._settings, self._history, holdings))
        for name, task in tasks.items():
            self._health.watch(name, task)
        self._health.add("commits", lambda: _commit_problem(committer))
        self._health.add("topics", lambda: topic_problem(self._troubles(consumer)))
        try:
            await run_until(stop, *tasks.values(), end_s=END_TASKS_S)
        finally:
            try:
                await _commit_finally(committer, consumer)
            finally:
                await consumer.stop()

    def _troubles(self, consumer: Consumer) -> dict[str, tuple[float, str]]:
        return self._usable.problems() | consumer.problems()

    async def _measure_troubles(self, consumer: Consumer) -> None:
        """Update the metric of unusable topics every second, until cancelled."""
        while True:
            troubles = self._troubles(consumer)
            for topic, key in self._keys.items():
                metrics.UNUSABLE.labels(*key).set(troubles[topic][0] if topic in troubles else 0)
            await asyncio.sleep(1.0)


async def _backfill(settings: Settings, history: Exchange, holdings: Holdings) -> None:
    """Backfill until cancelled. Restart after any exception, because no error may stop the live flow."""
    for delay in delays(1.0, 60.0):
        publisher = Publisher(settings)
        try:
            await publisher.start()
            quiet_s = min(settings.max_age_s / 2, MOST_QUIET_S)
            await Backfill(history, publisher, holdings.owned.values, holdings.wants_commit.set, quiet_s).run()
        except Exception:
            log.exception("backfill failed, will restart", retry_s=round(delay, 1))
        finally:
            await publisher.close()
        await asyncio.sleep(delay)


async def _commit_finally(committer: Committer, consumer: Consumer) -> None:
    """Commit once more, within a time limit, so that the next owner rereads less."""
    try:
        async with asyncio.timeout(LAST_COMMIT_S):
            await committer.commit(with_progress=True)
            await committer.commit_offsets_once(consumer)
    except TimeoutError:
        log.warning("last commit timed out, the next owner reads its records again")


async def _stopped_within(stop: asyncio.Event, limit_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await stop.wait()
    return stop.is_set()


def _commit_problem(committer: Committer) -> str | None:
    since = committer.failing_since
    if since is None or time.monotonic() - since < FAILING_LIMIT_S:
        return None
    return f"commits have failed for {time.monotonic() - since:.0f} s"


async def _measure(holdings: Holdings, consumer: Consumer) -> None:
    """Update the metrics every second, because counting each record in them would cost more than the record itself."""
    before: dict[OwnedSymbol, dict[str, int]] = {}
    owned_since: dict[OwnedSymbol, float] = {}
    while True:
        await asyncio.sleep(1.0)
        counts = {owned: owned.aggregator.counters.as_dict() for owned in holdings.owned.values()}
        for owned, outcomes in counts.items():
            known = before.get(owned, {})
            for outcome, total in outcomes.items():
                metrics.TRADES.labels(*owned.key, outcome).inc(total - known.get(outcome, 0))
            metrics.POSITION.labels(*owned.key).set(owned.position)
            metrics.LAG.labels(*owned.key).set(consumer.lag(owned.topic, owned.position))
            metrics.OPEN_HOLES.labels(*owned.key).set(len(owned.aggregator.ledger.holes()))
            heard_until_us, since_s = owned.heard_until_us, owned_since.setdefault(owned, time.time())
            metrics.HEARD_UNTIL.labels(*owned.key).set(since_s if heard_until_us is None else heard_until_us / 1e6)
        for owned in before.keys() - counts.keys():
            owned_since.pop(owned)
            if owned.topic not in holdings.owned:  # another process reports it now
                for gauge in metrics.OF_OWNED:
                    gauge.remove(*owned.key)
        before = counts
