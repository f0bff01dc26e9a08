"""Random logs of a symbol, for tests of the pure core and of the SQL that stores its candles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st
from marketstream.market.aggregator import Aggregator
from marketstream.market.progress import Commit, Progress
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_S, WINDOW_US

from tests.harness.amounts import rescaled
from tests.harness.model import Row, empty_row_after, row_of_trades

EPOCH = 1_610_064_000_000_000
GRACE_US = 1_000_000
PRICE_SCALE, QUANTITY_SCALE = 2, 6
FAR = EPOCH + 10_000 * WINDOW_US
RECEIVED_US = 2 * EPOCH


class Quietness(NamedTuple):
    """The exchange's statement that no trade followed `newest_id` until `until_us` (Unix µs)."""

    newest_id: int
    until_us: int


@dataclass(frozen=True)
class Scenario:
    """A log of records, heartbeats and statements of quiet.

    `commits` and `kills` are the offsets in the log after which the processor commits or is killed.
    """

    trades: list[Trade]
    log: list[Trades | Quietness | int]
    commits: frozenset[int]
    kills: frozenset[int]

    def delivered(self) -> list[Trade]:
        """Return the trades that arrived, as the exchange made them."""
        ids = {trade.id for record in self.log if isinstance(record, Trades) for trade in record}
        return [trade for trade in self.trades if trade.id in ids]


class Reading:
    """A processor that reads the log of a scenario. It starts at the stored resume offset, again after every kill."""

    def __init__(
        self, scenario: Scenario, progress: Progress, on_record: Callable[["Reading"], None] = lambda _: None
    ) -> None:
        self._scenario = scenario
        self._on_record = on_record
        self._kills = set(scenario.kills)
        self.begin(progress)

    def begin(self, progress: Progress) -> None:
        """Start from the stored progress, without any other memory."""
        self.aggregator = Aggregator(progress, grace_us=GRACE_US, max_id_jump=10**6, max_holes=10**6)
        self.offset = progress.resume_offset
        """Offset of the next record."""

    def read(self) -> Iterator[Commit | None]:
        """Yield each commit of the scenario and a last commit at the end; yield None where the processor is killed.

        The caller stores a commit before taking the next, and calls `begin` after None.
        """
        log = self._scenario.log
        while self.offset < len(log):
            offset, record = self.offset, log[self.offset]
            if isinstance(record, int):
                self.aggregator.heartbeat(record)
            elif isinstance(record, Quietness):
                self.aggregator.quiet(*record)
            else:
                self.aggregator.apply(record, offset, RECEIVED_US)
            self.offset += 1
            self._on_record(self)
            if offset in self._scenario.commits:
                yield self.aggregator.take(self.offset)
            if offset in self._kills:
                self._kills.remove(offset)
                yield None
        yield self.aggregator.take(self.offset)


def history(rng: Random, size: int) -> list[Trade]:
    """Return trades with consecutive ids and ordered times: bursts within one µs, and pauses of several windows."""
    time, trades = EPOCH + rng.randrange(WINDOW_US), []
    for trade_id in range(1_000, 1_000 + size):
        time += rng.choice((0, 1, 40_000, 900_000, 4_000_000, rng.randrange(3 * WINDOW_US)))
        trades.append(Trade(trade_id, 1, time, rng.randrange(1, 10**6), rng.randrange(10**7), rng.random() < 0.5))
    return trades


def disordered(rng: Random, jitter_us: int, size: int = 40) -> list[Trade]:
    """Return trades with consecutive ids and pauses, whose times differ from the order of the ids by up to a jitter."""
    time, trades = EPOCH, []
    for trade_id in range(1, size + 1):
        time += rng.choice((0, 1, 900_000, 4_000_000, rng.randrange(3 * WINDOW_US)))
        trades.append(Trade(trade_id, 1, time + rng.randint(-jitter_us, jitter_us), rng.randrange(1, 1000), 5, True))
    return trades


def false_rows(rows: Mapping[int, Row], trades: Sequence[Trade]) -> list[int]:
    """Return the window starts (Unix s) of the rows that are called complete but are not true."""
    by_window: dict[int, list[Trade]] = {}
    for trade in trades:
        by_window.setdefault(trade.time // WINDOW_US, []).append(trade)
    return [start for start, row in rows.items() if row.complete and row != _true_row(start // WINDOW_S, by_window)]


def _true_row(window: int, by_window: Mapping[int, list[Trade]]) -> Row:
    if window in by_window:
        return row_of_trades(window, by_window[window], PRICE_SCALE, QUANTITY_SCALE)
    before = by_window[max(number for number in by_window if number < window)]
    return empty_row_after(window, before, PRICE_SCALE)


def columns(rng: Random, trades: list[Trade]) -> Trades:
    """Return the trades as columns, at varying scales."""
    record = Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE)
    return rescaled(record, PRICE_SCALE + rng.randrange(2), QUANTITY_SCALE + rng.randrange(2))


def quietness(rng: Random, trades: list[Trade], newest_id: int) -> Quietness:
    """Return a true statement of quiet, made at some time between this trade and the next."""
    index = newest_id - trades[0].id
    time = trades[index].time
    last = trades[index + 1].time - 1 if index + 1 < len(trades) else time + 5 * WINDOW_US
    return Quietness(newest_id, rng.randint(time, max(time, last)))


def scenario_of(
    rng: Random,
    *,
    size: int,
    missing: float,
    repeated: float,
    disorder: float,
    committed: float,
    killed: float,
    quiet: float = 0.0,
) -> Scenario:
    """Return a scenario of `size` trades.

    The share `missing` of the trades never arrives, and the share `repeated` arrives twice; each trade is up to
    `disorder` ids late. `committed`, `killed` and `quiet` are the probabilities that a commit, a kill or a statement of
    quiet follows a record.
    """
    trades = history(rng, size)
    kept = [trade for trade in trades if rng.random() >= missing] or trades[:1]
    kept += [trade for trade in kept if rng.random() < repeated]
    kept.sort(key=lambda trade: trade.id + rng.random() * disorder)
    log: list[Trades | Quietness | int] = []
    newest_us, newest_id = EPOCH, 0
    while kept:
        count = rng.choice((1, 2, 5, 20))
        part, kept = kept[:count], kept[count:]
        log.append(columns(rng, part))
        newest_us = max(newest_us, *(trade.time for trade in part))
        newest_id = max(newest_id, *(trade.id for trade in part))
        if quiet and rng.random() < quiet:
            log.append(quietness(rng, trades, newest_id))
        if rng.random() < 0.2:
            log.append(newest_us + rng.randrange(3 * WINDOW_US))
    log.append(FAR)
    return Scenario(
        trades,
        log,
        frozenset(event for event in range(len(log)) if rng.random() < committed),
        frozenset(event for event in range(len(log)) if rng.random() < killed),
    )


CHOICES: dict[str, tuple[float, ...]] = {
    "missing": (0.0, 0.0, 0.05, 0.3),
    "repeated": (0.0, 0.2),
    "disorder": (0, 0, 3, 100),
    "committed": (0.1, 0.9),
    "killed": (0.0, 0.1),
}
"""The values among which a random scenario chooses."""


def random_scenario(rng: Random) -> Scenario:
    """Return a random scenario."""
    chosen = {name: rng.choice(values) for name, values in CHOICES.items()}
    return scenario_of(rng, size=rng.randint(1, 60), **chosen)


@st.composite
def scenarios(draw: st.DrawFn, quiet: float = 0.0) -> Scenario:
    """Draw scenarios that hypothesis can shrink."""
    chosen = {name: draw(st.sampled_from(values)) for name, values in CHOICES.items()} | {"quiet": quiet}
    rng = Random(draw(st.integers(0, 2**32)))
    return scenario_of(rng, size=draw(st.integers(1, 60)), **chosen)
