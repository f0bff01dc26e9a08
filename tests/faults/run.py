"""A run of the test: rounds of faults while trades flow, and then a comparison of every row."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from marketstream.codec import Heartbeat
from marketstream.exchanges.clock import now_us
from marketstream.market.window import INTERVALS, ROLLUPS, WINDOW_US

from tests.faults.exchange import LATEST_US, NAME, RATES, START_US, UnreliableExchange
from tests.faults.faults import Faults
from tests.faults.filler import Filler
from tests.faults.observer import CandleObserver, LiveObserver, assert_same
from tests.faults.pipeline import Pipeline, Servers, settings_for
from tests.faults.topics import Topics
from tests.faults.truth import Truth
from tests.harness.clients import within
from tests.harness.model import reference_rollup

RECOVERY_S: Final = 40
"""The seconds within which everything published must be stored."""


class Run:
    """A run of some rounds. The seed determines the trades, the faults and their instants."""

    def __init__(self, servers: Servers, seed: int, rounds: int, logs: Path) -> None:
        settings = settings_for(servers, f"faults-{seed}")
        rng = Random(seed)
        self._rng = rng
        self._rounds = rounds
        self._exchange = UnreliableExchange(seed, now_us())
        self._truth = Truth(self._exchange)
        self.pipeline = Pipeline(servers, settings, self._exchange, logs)
        self._topics = Topics(settings.kafka_bootstrap, settings.topic_prefix)
        self._candles = CandleObserver(settings.database_url, self._truth)
        self._live = LiveObserver(settings.redis_url)
        self._filler = Filler(rng, self._exchange, self._topics, self.pipeline)
        self._faults = Faults(rng, self.pipeline, self._topics, self._live)
        self._stored = self._filled = 0

    async def play(self) -> None:
        """Play all rounds and compare every row. Raises AssertionError, in a group, when anything is wrong."""
        async with self.pipeline.running(), asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(watcher.run(), name=type(watcher).__name__)
                for watcher in (self._topics, self._candles, self._live, self.pipeline)
            ]
            await self._recover()
            for name, fault in islice(self._faults.deck(), self._rounds):
                await self._round(name, fault)
            await self._settle()
            for watcher in watchers:
                watcher.cancel()

    def summary(self) -> str:
        """Return a line about everything that was checked."""
        return (
            f"{self._rounds} rounds: {self._stored} candles, 0 differences; {self._filled} trades filled in; "
            f"{self._candles.checks} checks of {self._candles.rows} rows, {self._live.checks} of Redis"
        )

    async def _round(self, name: str, fault: Faults.Fault) -> None:
        self.pipeline.note(f"-- {name}")
        await asyncio.sleep(self._rng.random())
        await fault()
        await self._recover()
        self._live.all_is_well()
        await self._candles.check_all()
        self._filled += await self._filler.fill(self._newest_ids(LATEST_US), share=0.7)

    async def _settle(self) -> None:
        """Check that all trades of the topics are counted, and every row when the missing trades are filled in."""
        self.pipeline.note("-- the end")
        await self.pipeline.producer.terminate()
        last_ids = self._newest_ids()
        await self._topics.publish([self._far_ahead(symbol) for symbol in RATES])
        await self._recover()
        held, progress = await self._topics.trade_ids(), await self.pipeline.progress()
        for symbol in RATES:
            lost = sorted(held[symbol] - progress[symbol].counted)
            assert not lost, f"{symbol}: {len(lost)} trades of the topic were never counted: {lost[:20]}"
        self._filled += await self._filler.fill(last_ids)
        await self._recover()
        await self._compare(last_ids)
        for processor in self.pipeline.processors:
            await processor.terminate()

    async def _compare(self, last_ids: Mapping[str, int]) -> None:
        """Check that every row is that of all trades, and complete except for the first and last window."""
        tables, progress = await self._candles.tables(), await self.pipeline.progress()
        for symbol, last_id in last_ids.items():
            first_id = self._exchange.first_id_from(symbol, START_US)
            uncounted = set(range(first_id, last_id + 1)) ^ progress[symbol].counted
            assert not uncounted, f"{symbol}: {len(uncounted)} ids differ from those counted: {sorted(uncounted)[:20]}"
            rows = self._truth.reference(symbol, first_id, last_id)
            assert [start for start in sorted(rows) if not rows[start].complete] == [min(rows), max(rows)]
            assert_same(tables["10s"][symbol], rows, f"{symbol} 10s")
            self._stored += len(rows)
            for interval in ROLLUPS:
                rows = reference_rollup(rows, interval, INTERVALS[interval.children or ""].seconds)
                assert_same(tables[interval.name][symbol], rows, f"{symbol} {interval.name}")
                self._stored += len(rows)

    async def _recover(self) -> None:
        """Wait until all records now in the topics are stored, and all keys that were in Redis are there again."""

        async def ends_known() -> None:
            ends.update(await self._topics.ends())

        async def caught_up() -> None:
            progress = await self.pipeline.progress()
            behind = [symbol for symbol in RATES if symbol not in progress or progress[symbol].position < ends[symbol]]
            assert not behind, f"not stored after {RECOVERY_S} s: {behind} of {progress}"
            missing = await self._live.missing()
            assert not missing, f"still missing in Redis after {RECOVERY_S} s: {missing}"

        ends: dict[str, int] = {}
        await within(RECOVERY_S, ends_known)
        await within(RECOVERY_S, caught_up)

    def _newest_ids(self, before_us: int = 0) -> dict[str, int]:
        """Return the newest trade id of each symbol, `before_us` (exchange µs) ago."""
        time_us = max(self._exchange.now() - before_us, START_US)
        return {symbol: self._exchange.first_id_from(symbol, time_us) - 1 for symbol in RATES}

    def _far_ahead(self, symbol: str) -> Heartbeat:
        """Return a heartbeat that closes all windows."""
        return Heartbeat(NAME, symbol, now_us(), self._exchange.now() + 100 * WINDOW_US, -1)
