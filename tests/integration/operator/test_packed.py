"""Several symbols in a pair: symbols stay in their pairs, and none moves for the sake of another."""

from marketstream_operator.names import SYMBOLS

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


async def test_packing_differently_makes_new_pairs_and_removes_the_old(market: Market) -> None:
    await market.stream("majors", ["AA", "BB"])
    await market.has_deployments("majors", 4)
    await market.change("majors", symbolsPerPair=10)
    await packs(market, {"p0": "AA,BB"})
    await market.change("majors", symbolsPerPair=1)
    await market.has_deployments("majors", 4)
