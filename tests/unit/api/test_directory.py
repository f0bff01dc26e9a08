"""The symbol that a query refers to."""

from collections.abc import Sequence

import pytest
from marketstream.api.directory import Directory
from marketstream.api.problems import ProblemError
from marketstream.postgres.errors import StoreUnavailableError
from marketstream.postgres.reader import Followed


class Rows:
    """A reader that returns these rows, and is unavailable without rows."""

    def __init__(self, *rows: tuple[str, str]) -> None:
        self.rows: Sequence[tuple[str, str]] | None = rows
        self.reads = 0

    async def symbols(self) -> list[Followed]:
        self.reads += 1
        if self.rows is None:
            raise StoreUnavailableError("away")
        return [Followed(exchange, symbol, 0) for exchange, symbol in self.rows]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def directory(rows: Rows, clock: Clock | None = None, preferred: Sequence[str] = ()) -> Directory:
    return Directory(rows, "binance", preferred, clock or Clock())  # type: ignore[arg-type]


MAJORS = (("simulator", "AUSDT"), ("binance", "SOLUSDT"), ("binance", "ETHUSDT"), ("binance", "BTCUSDT"))


@pytest.mark.parametrize(
    ("exchange", "symbol", "found"),
    [
        (None, None, ("binance", "BTCUSDT")),
        (None, "ethusdt", ("binance", "ETHUSDT")),
        ("BINANCE", "EthUsdt", ("binance", "ETHUSDT")),
        ("simulator", None, ("simulator", "AUSDT")),
    ],
)
async def test_a_symbol_is_found(exchange: str | None, symbol: str | None, found: tuple[str, str]) -> None:
    assert await directory(Rows(*MAJORS)).find(exchange, symbol) == found


async def test_the_symbols_of_the_settings_come_first() -> None:
    names = directory(Rows(*MAJORS), preferred=("SOLUSDT", "ETHUSDT"))
    assert await names.find(None, None) == ("binance", "SOLUSDT")
    assert [symbol for _, symbol in await names.all()] == ["SOLUSDT", "ETHUSDT", "BTCUSDT", "AUSDT"]


@pytest.mark.parametrize(
    ("exchange", "symbol", "detail"),
    [
        (None, "NOPE", "No symbol 'NOPE' of binance is streamed here. Known symbols: BTCUSDT, ETHUSDT, SOLUSDT."),
        ("kraken", None, "No exchange 'kraken' is streamed here. Known exchanges: binance, simulator."),
    ],
)
async def test_an_unknown_name_is_reported_with_the_known_ones(
    exchange: str | None, symbol: str | None, detail: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        await directory(Rows(*MAJORS)).find(exchange, symbol)
    assert (caught.value.problem.status, caught.value.problem.detail) == (404, detail)


async def test_few_of_many_known_symbols_are_named() -> None:
    rows = Rows(*(("binance", f"S{number:03}") for number in range(500)))
    with pytest.raises(ProblemError, match="S019 and 480 more"):
        await directory(rows).find(None, "NOPE")


async def test_a_directory_without_symbols_says_so() -> None:
    with pytest.raises(ProblemError, match="No symbol has been streamed yet"):
        await directory(Rows()).find(None, None)


async def test_a_new_symbol_is_found_after_a_moment_and_unknown_ones_cost_few_reads() -> None:
    rows, clock = Rows(("binance", "BTCUSDT")), Clock()
    names = directory(rows, clock)
    for _ in range(10):
        with pytest.raises(ProblemError):
            await names.find(None, "ETHUSDT")
    assert rows.reads == 1
    rows.rows = (("binance", "BTCUSDT"), ("binance", "ETHUSDT"))
    clock.now += 1
    assert await names.find(None, "ETHUSDT") == ("binance", "ETHUSDT")


async def test_a_known_symbol_is_found_while_the_database_is_unavailable() -> None:
    rows, clock = Rows(("binance", "BTCUSDT")), Clock()
    names = directory(rows, clock)
    await names.find(None, "BTCUSDT")
    rows.rows, clock.now = None, 100
    assert await names.find(None, "BTCUSDT") == ("binance", "BTCUSDT")
    with pytest.raises(StoreUnavailableError):
        await names.find(None, "ETHUSDT")
