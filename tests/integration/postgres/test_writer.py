"""The SQL of commits gives the rows of tests/harness/model.py, for any log, order and kills."""

import os
from collections.abc import Iterator
from random import Random

import asyncpg
import pytest
from marketstream.market.progress import Commit
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.postgres.statements import MAX_EMPTY_WINDOWS
from marketstream.postgres.writer import Claim, Numbered, SymbolKey, Writer

from tests.harness.model import MemoryStore, reference_candles
from tests.harness.resets import random_resets
from tests.harness.scenarios import EPOCH, PRICE_SCALE, QUANTITY_SCALE, Reading, Scenario, random_scenario
from tests.harness.tables import account, assert_rollups_follow, stored_reasons, stored_rows
from tests.integration.postgres.owner import START, WHOLE, Owner
from tests.integration.processor.market import trade

SYMBOLS = 12
SEED = os.environ.get("FAULT_SEED", "1")
HOUR = 3600 * 1_000_000
KEY = SymbolKey("binance", "BTCUSDT")


class Player:
    """Plays a scenario into PostgreSQL and into the model."""

    def __init__(self, key: SymbolKey, scenario: Scenario, claim: Claim) -> None:
        self.key = key
        self.memory = MemoryStore()
        self.scenario = scenario
        self._reading = Reading(scenario, claim.progress)
        self._commits: Iterator[Commit | None] = self._reading.read()
        self._claim = claim

    def reasons(self) -> dict[int, str | None]:
        """The reason why each window with a row is incomplete, by window start in seconds."""
        reasons = self.memory.reasons | dict.fromkeys(self.memory.empty, None)
        return {window * WINDOW_S: reason for window, reason in reasons.items()}

    async def next_commit(self, writer: Writer) -> Numbered | None:
        """Return the next commit to store, or None at the end. After a kill, a new owner claims the symbol first."""
        for commit in self._commits:
            if commit is not None:
                self._claim = self._claim._replace(commit_number=self._claim.commit_number + 1)
                return Numbered(self._claim.fence, self._claim.commit_number, commit)
            self._claim = (await writer.claim({self.key: "a topic"}))[self.key]
            assert account(self._claim.progress) == account(self.memory.progress)
            self._reading.begin(self._claim.progress)
        return None


@pytest.mark.parametrize("batch", range(10))
async def test_the_stored_rows_are_those_of_the_model(pool: asyncpg.Pool, batch: int) -> None:
    rng, writer = Random(f"{SEED} {batch}"), Writer(pool)
    topics = {SymbolKey("binance", f"SYMBOL{number}"): "a topic" for number in range(SYMBOLS)}
    claims = await writer.claim(topics)
    players = [Player(key, random_scenario(rng), claims[key]) for key in topics]
    while commits := {p.key: numbered for p in players if (numbered := await p.next_commit(writer)) is not None}:
        committed = await writer.commit(commits)
        assert not committed.fenced
        for player in players:
            if player.key in commits:
                player.memory.apply(commits[player.key].commit)
    for player in players:
        rows = await stored_rows(pool, player.key)
        assert rows == reference_candles(player.scenario.delivered(), PRICE_SCALE, QUANTITY_SCALE)
        assert await stored_reasons(pool, player.key) == player.reasons()
        await assert_rollups_follow(pool, player.key, rows)
    for key, claim in (await writer.claim(topics)).items():
        (player,) = (player for player in players if player.key == key)
        assert account(claim.progress) == account(player.memory.progress)


@pytest.mark.parametrize("batch", range(3))
async def test_the_stored_rows_are_those_of_the_model_when_ids_begin_again(pool: asyncpg.Pool, batch: int) -> None:
    rng, writer = Random(f"{SEED} {batch}"), Writer(pool)
    topics = {SymbolKey("binance", f"SYMBOL{number}"): "a topic" for number in range(SYMBOLS)}
    cases = dict(zip(topics, [random_resets(rng) for _ in topics], strict=True))
    claims = await writer.claim(topics)
    players = [Player(key, cases[key].scenario, claims[key]) for key in topics]
    while commits := {p.key: numbered for p in players if (numbered := await p.next_commit(writer)) is not None}:
        await writer.commit(commits)
        for player in players:
            if player.key in commits:
                player.memory.apply(commits[player.key].commit)
    for player in players:
        rows = await stored_rows(pool, player.key)
        assert rows == player.memory.rows()
        assert await stored_reasons(pool, player.key) == player.reasons()
        await assert_rollups_follow(pool, player.key, rows)
    for key, claim in (await writer.claim(topics)).items():
        assert claim.progress.generation == len(cases[key].generations) - 1


def quiet_log(gap_us: int) -> Scenario:
    """Return four trades, with `gap_us` between the middle ones."""
    times = (EPOCH, EPOCH + WINDOW_US, EPOCH + WINDOW_US + gap_us, EPOCH + 3 * WINDOW_US + gap_us)
    trades = [Trade(trade_id, 1, time, 100 + trade_id, 5, taker_buy=True) for trade_id, time in enumerate(times)]
    record = Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE)
    return Scenario(trades, [record, times[-1] + 2 * WINDOW_US], frozenset(), frozenset())


async def play(pool: asyncpg.Pool, scenario: Scenario) -> None:
    writer = Writer(pool)
    player = Player(KEY, scenario, (await writer.claim({KEY: "a topic"}))[KEY])
    while (numbered := await player.next_commit(writer)) is not None:
        await writer.commit({KEY: numbered})


async def test_days_without_a_trade_are_proven_empty_up_to_the_longest_candle(pool: asyncpg.Pool) -> None:
    scenario = quiet_log(50 * HOUR)
    await play(pool, scenario)
    rows = await stored_rows(pool, KEY)
    assert rows == reference_candles(scenario.trades, PRICE_SCALE, QUANTITY_SCALE)
    await assert_rollups_follow(pool, KEY, rows)
    days = await pool.fetch("SELECT complete, trade_count, open, close FROM candles_1d ORDER BY window_start")
    assert [(day["complete"], day["trade_count"]) for day in days] == [(False, 2), (True, 0), (False, 2)]
    assert days[1]["open"] == days[1]["close"] == days[0]["close"]


async def test_one_verdict_adds_no_more_than_a_week_of_empty_windows(pool: asyncpg.Pool) -> None:
    scenario = quiet_log(8 * 24 * HOUR)
    await play(pool, scenario)
    empty = await pool.fetch("SELECT window_start FROM candles_10s WHERE trade_count = 0 ORDER BY 1")
    traded = scenario.trades[2].time // WINDOW_US * WINDOW_S
    week_before = range(traded - MAX_EMPTY_WINDOWS * WINDOW_S, traded, WINDOW_S)
    assert [row["window_start"] for row in empty] == [*week_before, traded + WINDOW_S]
    week = MAX_EMPTY_WINDOWS * WINDOW_S // (24 * 3600)
    days = await pool.fetch("SELECT complete FROM candles_1d ORDER BY window_start")
    assert [day["complete"] for day in days] == [False, False, *([True] * (week - 1)), False], "the oldest stay unknown"


async def test_a_commit_sent_again_returns_the_same_changes(pool: asyncpg.Pool) -> None:
    owner, writer = await Owner.of(pool), Writer(pool)
    commit = owner.take(*WHOLE, until=9)
    first = await writer.commit({KEY: commit})
    again = await writer.commit({KEY: commit})
    assert not again.fenced
    assert again.changed == first.changed == {KEY: {START, START + WINDOW_S, START + 2 * WINDOW_S}}
    assert again.newest_closed == first.newest_closed
    assert again.newest_closed[KEY].window_start == START + 2 * WINDOW_S


async def test_verdicts_sent_again_return_the_same_changes(pool: asyncpg.Pool) -> None:
    owner, writer = await Owner.of(pool), Writer(pool)
    await owner.store(*WHOLE, until=9)
    commit = owner.take(trade(5, 5.5), until=9)
    first = await writer.commit({KEY: commit})
    assert first.changed[KEY] == {START + number * WINDOW_S for number in (2, 3, 4, 5)}
    assert (await writer.commit({KEY: commit})).changed == first.changed
