"""The kinds of faults. After each of them everything works again, and what was lost is in the exchange's history."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from random import Random
from typing import Any, Final, TypeAlias

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from marketstream.kafka.admin import ensure_topics

from tests.faults.kinds.exchange import RATES, REFUSALS, ChangingMarket
from tests.faults.kinds.pipeline import Pipeline, RedisPair
from tests.harness.binance.listener import until
from tests.harness.binance.server import BinanceServer
from tests.harness.clients import query, within

LIMIT_S: Final = 120
"""Seconds within which anything that a fault waits for must happen; the machine may be busy."""

HOURS_OFF: Final = 2
BUSY: Final = "BTCUSDT"

OLD_US: Final = 120_000_000
"""µs of exchange time since an id was used, before ids may begin again there.

Nobody sees that ids have begun again once they have passed the used ones, as they may while the producer is killed.
"""


class Kinds:
    """The kinds of faults, each at a random instant and with random details."""

    Kind: TypeAlias = Callable[[], Awaitable[None]]

    def __init__(self, rng: Random, pipeline: Pipeline, server: BinanceServer, redis: RedisPair) -> None:
        self._rng = rng
        self._pipeline = pipeline
        self._server = server
        self._redis = redis
        self._since_us = 0
        self.begun_again: str | None = None
        """The symbol whose ids began again in this round."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all kinds."""
        return [name for name, member in vars(cls).items() if iscoroutinefunction(member) and name[0] != "_"]

    def deck(self, only: str | None = None) -> Iterator[tuple[str, Kind]]:
        """Yield kinds with their names, without end: each once in every shuffle, or `only` one."""
        self._since_us = self._server.clock.now_us()
        names = [only] if only else self.names()
        while True:
            for name in self._rng.sample(names, len(names)):
                yield name, getattr(self, name)

    async def topic_deleted(self) -> None:
        """Delete a topic with its records, and create it again at once or after a while."""
        topic = self._pipeline.topic(self._symbol())
        async with _admin(self._pipeline) as admin:
            await admin.delete_topics([topic])
        await self._wait(4.0)
        await ensure_topics(self._pipeline.settings, [topic], LIMIT_S)

    async def topic_refused(self) -> None:
        """Let Kafka refuse the records of a topic, for good or until a replica is back. The others go on."""
        symbol = self._symbol()
        name, value = self._rng.choice([("max.message.bytes", "1"), ("min.insync.replicas", "2")])
        self._pipeline.note(f"{symbol}: {name}={value}")
        others = [other for other in RATES if other != symbol]
        await _configure(self._pipeline, self._pipeline.topic(symbol), {name: value})
        try:
            await self._windows_close(others)
            await self._wait(2.0)
        finally:
            await _configure(self._pipeline, self._pipeline.topic(symbol), {})

    async def redis_failover(self) -> None:
        """Make the replica of Redis the primary. The live state follows it."""
        await self._redis.in_step()
        crash = self._rng.random() < 0.5
        self._pipeline.note("the primary crashes" if crash else "the primary becomes a replica")
        await self._redis.fail_over(crash=crash)
        newest = {symbol: self._server.markets[symbol].trades[-1].id for symbol in RATES}

        async def follows() -> None:
            shown = {symbol: status.last_trade_id or 0 for symbol, status in (await self._pipeline.statuses()).items()}
            assert all(shown[symbol] > newest[symbol] for symbol in RATES), f"{shown} is not beyond {newest}"

        await within(LIMIT_S, follows)

    async def history_refused(self) -> None:
        """Answer requests for missing trades with a refusal or with nothing, and sometimes those of the ticker."""
        name = self._rng.choice(list(REFUSALS))
        paths = ("historicalTrades", "aggTrades", *(("ticker/24hr", "time") if self._rng.random() < 0.3 else ()))
        self._pipeline.note(f"{name} for {', '.join(paths)}")
        self._server.rest.refused, self._server.rest.refusal = paths, REFUSALS[name]
        try:
            asked = len(self._server.rest.requests)
            await self._drop()
            await until(lambda: self._asked_since(asked, paths), LIMIT_S)
            await self._wait(5.0)  # longer than the patience with a history that lacks trades
        finally:
            self._server.rest.refusal = None

    async def finer_tick(self) -> None:
        """Make the tick of the busiest symbol finer soon after the beginning of a hole, which aggregates fill."""
        market = self._server.markets[BUSY]
        assert isinstance(market, ChangingMarket)
        self._pipeline.note(f"finer than {market.tick}")
        asked = len(self._server.rest.requests)
        finer_from = market.trades[-1].id + self._rng.randint(1, 60)
        self._lose(400)
        await until(lambda: market.trades[-1].id >= finer_from, LIMIT_S)
        market.refine()
        await until(lambda: not self._server.faults.pending, LIMIT_S)
        await until(lambda: self._asked_since(asked, ("aggTrades",)), LIMIT_S)

    async def clock_off(self) -> None:
        """Set the clocks of some services two hours ahead or behind while a hole is filled, and then right again."""
        ahead = self._rng.random() < 0.5
        names = list(self._pipeline.clocks)
        wrong = self._rng.choice([names[:1], names[1:], names])
        self._pipeline.note(f"two hours {'ahead' if ahead else 'behind'}: {', '.join(wrong)}")
        self._server.rest.refused, self._server.rest.refusal = ("historicalTrades", "aggTrades"), REFUSALS["-1008"]
        try:
            await self._drop()
            for name in wrong:
                self._pipeline.clocks[name].set(HOURS_OFF * 3600 * (1 if ahead else -1))
            self._server.rest.refusal = None
            if len(wrong) > 1:  # both processors, of which one is alive
                await within(LIMIT_S, self._processors_are_off)
            await self._wait(8.0)
        finally:
            self._server.rest.refusal = None
            for name in wrong:
                self._pipeline.clocks[name].set(0)

    async def exchange_unreachable(self) -> None:
        """Refuse all connections. The state of all symbols is `unreachable`, until the exchange is back."""
        await self._server.stop()
        try:
            await within(LIMIT_S, lambda: self._all_are({"unreachable"}))
            await self._wait(2.0)
            await self._all_are({"unreachable"})
        finally:
            await self._server.start()
        await within(LIMIT_S, lambda: self._all_are({"live", "backfilling"}))

    async def ids_begin_again(self) -> None:
        """Let the ids of a symbol begin again far below or just below the used ones, or at one of them.

        There may be a pause before.
        """
        symbol = self._symbol()
        market = self._server.markets[symbol]
        assert isinstance(market, ChangingMarket)

        def old() -> list[int]:
            last_us = self._server.clock.now_us() - OLD_US
            return [trade.id for trade in market.trades if self._since_us < trade.time_us < last_us]

        await until(lambda: bool(old()), LIMIT_S)
        used, now_us = old(), self._server.clock.now_us()
        first_id = self._rng.choice([used[0] // 2, used[0] - self._rng.randint(1, 100), self._rng.choice(used)])
        pause_s = self._rng.choice([0, 0, 20, 90])
        self._pipeline.note(f"{symbol}: from {market.trades[-1].id} to {first_id} after {pause_s} s")
        self.begun_again = symbol
        market.begin_again(max(first_id, 0), pause_s * 1_000_000, now_us)

        async def follows() -> None:
            status = (await self._pipeline.statuses())[symbol]
            assert (status.last_trade_time or 0.0) * 1_000_000 > now_us, f"the live state stays at {status}"

        await within(LIMIT_S, follows)

    async def _processors_are_off(self) -> None:
        errors = await self._pipeline.clock_errors_s()
        assert all(abs(error) > HOURS_OFF * 3600 - 600 for error in errors.values()), f"right clocks: {errors}"

    async def _all_are(self, allowed: set[str]) -> None:
        states = await self._pipeline.states()
        assert set(states.values()) <= allowed, f"{states}: expected {allowed}"

    async def _drop(self) -> None:
        """Lose frames of any symbol, and of the busiest."""
        self._server.faults.add("drop", 40)
        self._lose(self._rng.choice([20, 400]))
        await until(lambda: not self._server.faults.pending, LIMIT_S)

    def _lose(self, count: int) -> None:
        """Lose trades of the busiest symbol, beginning anywhere in the trades of one order, which happen together."""
        self._server.faults.add("duplicate", self._rng.randint(1, 6), BUSY)
        self._server.faults.add("drop", count, BUSY)

    def _asked_since(self, count: int, paths: tuple[str, ...]) -> bool:
        return any(path.endswith(paths) for path, _ in self._server.rest.requests[count:])

    async def _windows_close(self, symbols: list[str], windows: int = 2) -> None:
        """Wait until further windows of these symbols are closed and stored."""

        async def closed() -> dict[str, int]:
            rows = await query(self._pipeline.settings.database_url, "SELECT symbol, closed_until FROM progress")
            return {row["symbol"]: row["closed_until"] for row in rows}

        async def advanced() -> None:
            now = await closed()
            assert all(now[symbol] >= before[symbol] + windows for symbol in symbols), f"{now} after {before}"

        before = await closed()
        await within(LIMIT_S, advanced)

    def _symbol(self) -> str:
        return self._rng.choice(list(RATES))

    async def _wait(self, most_s: float) -> None:
        """Wait for a random time of at most `most_s` seconds."""
        await asyncio.sleep(self._rng.random() * most_s)


@asynccontextmanager
async def _admin(pipeline: Pipeline) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=pipeline.settings.kafka_bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def _configure(pipeline: Pipeline, topic: str, settings: dict[str, str]) -> None:
    """Replace the settings of a topic that differ from the broker's."""
    async with _admin(pipeline) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
