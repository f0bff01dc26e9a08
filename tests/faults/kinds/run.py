"""A run of some rounds: a fault while trades flow and a process is killed, and then every window is complete."""

import asyncio
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

from marketstream.market.window import WINDOW_S
from marketstream.settings import Settings

from tests.faults.kinds.exchange import RATES, exchange
from tests.faults.kinds.kinds import LIMIT_S, Kinds
from tests.faults.kinds.pipeline import Pipeline, redis_pair
from tests.faults.kinds.truth import GenerationTruth
from tests.harness.clients import query, within
from tests.integration.live.watch import Watch

KILL_WITHIN_S: Final = 6.0
"""Seconds of a round within which a service is killed: while the fault lasts, or while its holes are filled."""


AROUND_S: Final = 30
"""Exchange seconds around a round in which windows of a symbol whose ids begin again may stay unproven."""


class Run:
    """A run of some rounds. The seed determines the trades, the faults and their instants."""

    def __init__(self, settings: Settings, seed: int, rounds: int, directory: Path, only: str | None) -> None:
        self._settings = settings
        self._seed = seed
        self._rounds = rounds
        self._directory = directory
        self._only = only
        self._rng = Random(seed)
        self.took: list[tuple[str, float]] = []
        self.history: list[str] = []

    async def play(self) -> str:
        """Play all rounds, and return a line about what was checked.

        Fail at the first wrong candle, false claim or loss.
        """
        async with exchange(self._seed) as server, redis_pair(self._directory) as redis:
            settings = self._settings.but(
                exchange_ws_url=server.ws_url, exchange_rest_url=server.rest_url, redis_url=redis.url
            )
            watch = Watch(settings, server, truth=GenerationTruth(server))
            pipeline = Pipeline(settings, self._directory, self.history)
            kinds = Kinds(self._rng, pipeline, server, redis)
            async with watch.watching(), pipeline.running():
                await watch.healed(LIMIT_S)
                for name, kind in islice(kinds.deck(self._only), self._rounds):
                    began = monotonic()
                    await self._round(name, kind, kinds, pipeline, watch)
                    self.took.append((name, monotonic() - began))
            await watch.assert_all_as_it_was()
            return (
                f"{self._rounds} rounds: {watch.looks} checks of {watch.claims} complete candles, 0 wrong, 0 given up"
            )

    async def _round(self, name: str, kind: Kinds.Kind, kinds: Kinds, pipeline: Pipeline, watch: Watch) -> None:
        pipeline.note(f"-- {name}")
        began_s, kinds.begun_again = watch.window(), None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill(pipeline))
            group.create_task(kind())
        pipeline.note("over")
        if kinds.begun_again:  # the exchange has forgotten the trades that were lost around that time
            windows = range(began_s - AROUND_S, watch.window() + AROUND_S, WINDOW_S)
            watch.excused[kinds.begun_again].append(windows)
        pipeline.note(f"complete after {await watch.healed():.1f} s")
        await within(LIMIT_S, lambda: self._assert_settled(pipeline))

    async def _kill(self, pipeline: Pipeline) -> None:
        """Kill the producer or processors by SIGKILL, and start them again."""
        services = list(pipeline.services.values())
        victims = self._rng.choice([services[:1], services[1:2], services[2:], services[1:], services])
        await asyncio.sleep(self._rng.random() * KILL_WITHIN_S)
        for service in victims:
            pipeline.note(f"kill {service.name}")
            service.kill()
        await asyncio.sleep(self._rng.random() * 2.0)
        for service in victims:
            pipeline.note(f"start {service.name}")
            service.start()

    async def _assert_settled(self, pipeline: Pipeline) -> None:
        """Assert that nothing was given up, and that the live state knows of no hole."""
        rows = await query(self._settings.database_url, "SELECT symbol, unfillable FROM progress")
        assert {row["symbol"]: row["unfillable"] for row in rows} == {symbol: [] for symbol in RATES}
        holes = {symbol: status.open_holes for symbol, status in (await pipeline.statuses()).items()}
        assert holes == dict.fromkeys(RATES, 0)
