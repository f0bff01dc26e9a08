"""Random logs of a symbol whose ids begin again."""

from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st
from marketstream.market.generation import FAR_US, LULL_US
from marketstream.market.trade import Trade, Trades
from marketstream.market.window import WINDOW_US

from tests.harness.scenarios import EPOCH, FAR, Scenario, columns

Generations = list[list[Trade]]


@dataclass(frozen=True, repr=False)
class Case:
    """Generations of trades as the exchange made them, as they were delivered, and the log that delivers them."""

    generations: Generations
    delivered: Generations
    scenario: Scenario


def sequence(rng: Random, first_id: int, start_us: int, size: int) -> list[Trade]:
    """Return trades with consecutive ids and ordered times."""
    time_us, trades = start_us, []
    for trade_id in range(first_id, first_id + size):
        trades.append(Trade(trade_id, 1, time_us, rng.randrange(1, 10**6), rng.randrange(10**7), rng.random() < 0.5))
        time_us += rng.choice((0, 1, 40_000, 900_000, 4_000_000, rng.randrange(3 * WINDOW_US)))
    return trades


def first_id_after(rng: Random, before: list[Trade], kept: list[Trade]) -> int:
    """Return where ids begin again: at 1, below the ids before, at one of them, or in a hole between them."""
    ids = {trade.id for trade in kept}
    in_holes = [
        trade.id for trade in before if kept[0].id < trade.id < kept[-1].id and not {trade.id, trade.id - 1} & ids
    ]
    choices = [
        min(1, kept[0].id),
        rng.randint(max(kept[0].id - 50, 0), kept[0].id),
        rng.choice(sorted(ids)),
        kept[-1].id,
    ]
    return rng.choice([*choices, rng.choice(in_holes)] if in_holes else choices)


def pause_us(rng: Random, first_id: int, kept: list[Trade]) -> int:
    """Return a pause, as short as the ids can still show that they begin again there."""
    pauses = [LULL_US + 1, LULL_US + 50 * WINDOW_US]
    if first_id in {trade.id for trade in kept} or first_id < kept[0].id:
        pauses.append(FAR_US + 1)
    if first_id < kept[0].id and kept[-1].time - kept[0].time > FAR_US:
        pauses += [1, 40_000, 1_000_000]
    return rng.choice(pauses)


def case_of(rng: Random, *, missing: float, repeated: float, disorder: float, committed: float, killed: float) -> Case:
    """Return a case of two to four generations. Duplicates of an earlier generation arrive in later ones, too."""
    generations: Generations = []
    delivered: Generations = []
    log: list[Trades | int] = []  # type: ignore[assignment]
    first_id, start_us = rng.randrange(100, 1_000), EPOCH + rng.randrange(WINDOW_US)
    for _ in range(rng.randint(2, 4)):
        trades = sequence(rng, first_id, start_us, rng.randint(1, 40))
        kept = [trade for trade in trades[1:] if rng.random() >= missing]
        arriving = kept + [trade for trade in kept if rng.random() < repeated]
        arriving.sort(key=lambda trade: trade.id + rng.random() * disorder)
        kept.insert(0, trades[0])
        arriving.insert(0, trades[0])
        for earlier in delivered:
            for trade in earlier:
                if rng.random() < repeated / 5:
                    arriving.insert(rng.randint(1, len(arriving)), trade)
        log += records(rng, arriving)
        generations.append(trades)
        delivered.append(kept)
        first_id = first_id_after(rng, trades, kept)
        start_us = trades[-1].time + pause_us(rng, first_id, kept)
    log.append(FAR)
    offsets = range(len(log))
    scenario = Scenario(
        [trade for trades in generations for trade in trades],
        list(log),
        frozenset(offset for offset in offsets if rng.random() < committed),
        frozenset(offset for offset in offsets if rng.random() < killed),
    )
    return Case(generations, delivered, scenario)


def records(rng: Random, trades: list[Trade]) -> list[Trades | int]:
    """Return the trades as records of random sizes, with heartbeats between them."""
    log: list[Trades | int] = []
    newest_us = 0
    while trades:
        count = rng.choice((1, 2, 5, 20))
        part, trades = trades[:count], trades[count:]
        log.append(columns(rng, part))
        newest_us = max(newest_us, *(trade.time for trade in part))
        if rng.random() < 0.2:
            log.append(newest_us + rng.choice((0, rng.randrange(3 * WINDOW_US))))
    return log


CHOICES: dict[str, tuple[float, ...]] = {
    "missing": (0.0, 0.0, 0.05, 0.3),
    "repeated": (0.0, 0.2),
    "disorder": (0.0, 0.0, 3.0, 100.0),
    "committed": (0.1, 0.9),
    "killed": (0.0, 0.1, 0.3),
}
"""The values among which a random case chooses."""


def random_resets(rng: Random) -> Case:
    """Return a random case."""
    return case_of(rng, **{name: rng.choice(values) for name, values in CHOICES.items()})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw cases that hypothesis can shrink."""
    chosen = {name: draw(st.sampled_from(values)) for name, values in CHOICES.items()}
    return case_of(Random(draw(st.integers(0, 2**32))), **chosen)
