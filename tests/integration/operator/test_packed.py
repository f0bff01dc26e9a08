"""Several symbols in a pair: symbols stay in their pairs, and none moves for the sake of another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from marketstream_operator.names import SYMBOLS, pair_of_symbol

from tests.harness.operator.playing import Market, settle
from tests.harness.operator.running import STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate


async def packing(cluster: Cluster, stream: str = "majors") -> dict[str, str]:
    """Return the symbols of each pair, which are the same for its producer and processor."""
    found: dict[str, set[str]] = {}
    for one in (await cluster.deployments(stream)).values():
        pair = one["metadata"]["labels"]["marketstream.io/pair"]
        found.setdefault(pair, set()).add(one["metadata"]["annotations"][SYMBOLS])
    return {pair: "|".join(symbols) for pair, symbols in found.items()}


async def packs(cluster: Cluster, wanted: dict[str, str]) -> None:
    async def it_does() -> bool:
        return await packing(cluster) == wanted

    await until(it_does)


async def generations(cluster: Cluster) -> dict[str, tuple[str, int]]:
    return {
        name: (one["metadata"]["uid"], one["metadata"]["generation"])
        for name, one in (await cluster.deployments()).items()
    }


async def test_a_symbol_stays_and_a_new_one_goes_where_there_is_room(market: Market) -> None:
    await market.stream("majors", ["AA", "BB", "CC", "DD", "EE"], symbolsPerPair=2)
    await packs(market, {"p0": "AA,BB", "p1": "CC,DD", "p2": "EE"})
    before = await generations(market)
    await market.change("majors", symbols=["AA", "CC", "DD", "EE"])
    await packs(market, {"p0": "AA", "p1": "CC,DD", "p2": "EE"})
    await market.change("majors", symbols=["EE", "DD", "CC", "AA", "FF", "GG", "HH"])
    await packs(market, {"p0": "AA,FF", "p1": "CC,DD", "p2": "EE,GG", "p3": "HH"})
    after = await generations(market)
    for role in ("producer", "processor"):
        untouched = f"majors-p1-{role}"
        assert after[untouched] == before[untouched]

    async def said() -> bool:
        symbols = (await market.get(STREAMS, "majors"))["status"]["symbols"]
        return ("GG", "p2") in [(one["name"], one["pair"]) for one in symbols]

    await until(said)


async def test_nothing_is_compacted(market: Market) -> None:
    await market.stream("majors", ["AA", "BB", "CC", "DD", "EE"], symbolsPerPair=2)
    await packs(market, {"p0": "AA,BB", "p1": "CC,DD", "p2": "EE"})
    await market.change("majors", symbols=["BB", "DD", "EE"])
    await packs(market, {"p0": "BB", "p1": "DD", "p2": "EE"})
    before = await generations(market)
    await market.change("majors", symbolsPerPair=3)
    await settle(market)
    await market.change("majors", symbols=["BB", "DD", "EE", "FF", "GG", "HH"])
    await packs(market, {"p0": "BB,FF,GG", "p1": "DD,HH", "p2": "EE"})
    assert (await generations(market))["majors-p2-producer"] == before["majors-p2-producer"]


async def test_the_packing_is_recovered_by_an_operator_that_knows_nothing(connected: Cluster, operate: Operate) -> None:
    first = await operate()
    await connected.stream("majors", ["AA", "BB", "CC", "DD"], symbolsPerPair=2)
    await packs(connected, {"p0": "AA,BB", "p1": "CC,DD"})
    await connected.change("majors", symbols=["BB", "CC", "DD"])
    await packs(connected, {"p0": "BB", "p1": "CC,DD"})
    await first.end()
    before = await generations(connected)
    await connected.change("majors", symbols=["DD", "EE", "CC", "FF", "BB"])  # in another order, too
    await operate()
    await packs(connected, {"p0": "BB,EE", "p1": "CC,DD", "p2": "FF"})
    after = await generations(connected)
    assert after["majors-p1-producer"] == before["majors-p1-producer"]


async def pairs_of(cluster: Cluster) -> set[str]:
    return {one["metadata"]["labels"]["marketstream.io/pair"] for one in (await cluster.deployments("majors")).values()}


async def has_pairs(cluster: Cluster, count: int) -> set[str]:
    async def it_has() -> set[str] | None:
        found = await pairs_of(cluster)
        return found if len(found) == count else None

    return await until(it_has)


async def unready_symbols(cluster: Cluster, *symbols: str) -> set[str]:
    """Return the symbols without a pair of a producer and a processor that run them and are available."""
    ready: dict[str, set[str]] = {}
    for one in (await cluster.deployments("majors")).values():
        if (one.get("status") or {}).get("availableReplicas"):
            of = one["metadata"]["labels"]["marketstream.io/pair"]
            for symbol in one["metadata"]["annotations"][SYMBOLS].split(","):
                ready.setdefault(f"{of}/{symbol}", set()).add(one["metadata"]["labels"]["app.kubernetes.io/component"])
    both = {place.partition("/")[2] for place, roles in ready.items() if len(roles) == 2}
    return set(symbols) - both


@asynccontextmanager
async def always_ready(cluster: Cluster, *symbols: str) -> AsyncIterator[None]:
    """Look at all times whether each symbol has a ready pair."""
    failures: list[set[str]] = []
    ends = asyncio.Event()

    async def look() -> None:
        while not ends.is_set():
            if missing := await unready_symbols(cluster, *symbols):
                failures.append(missing)
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        ends.set()
        await looking
    assert failures == []


async def test_packing_differently_makes_the_new_pairs_before_it_removes_the_old(
    connected: Cluster, operate: Operate
) -> None:
    symbols = ("AA", "BB", "CC")
    await operate(MAX_ROLLING_PAIRS="1")
    await connected.stream("majors", symbols)
    await connected.has_deployments("majors", 6)
    await settle(connected)
    await connected.says("majors", "Ready", "True")
    async with always_ready(connected, *symbols):
        await connected.change("majors", symbolsPerPair=10)
        await connected.has_deployments("majors", 8)
        await settle(connected, "majors-p0-producer")
        await asyncio.sleep(6)  # a resync
        assert len(await pairs_of(connected)) == 4, "the new processor is not ready yet, or will never fit"
        await settle(connected, "majors-p0-processor")
        await packs(connected, {"p0": "AA,BB,CC"})
        await connected.says("majors", "Ready", "True")

        await connected.change("majors", symbolsPerPair=1)
        for count in (2, 3, 4):
            assert "p0" in await has_pairs(connected, count), "one new pair at a time"
            await settle(connected)
        await packs(connected, {pair_of_symbol(symbol): symbol for symbol in symbols})
