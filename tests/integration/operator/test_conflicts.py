"""Two MarketStreams that want the same symbol of an exchange."""

import asyncio
from typing import Any

from marketstream_operator.names import SYMBOLS

from tests.harness.operator.playing import Market, add_pod, settle
from tests.harness.operator.running import DEPLOYMENTS, PODS, STREAMS, Cluster, until


async def running(cluster: Cluster, stream: str) -> list[str]:
    """Return the symbols of the Deployments of a stream."""
    found = (await cluster.deployments(stream)).values()
    return sorted({one["metadata"]["annotations"][SYMBOLS] for one in found if one["spec"]["replicas"]})


async def runs(cluster: Cluster, stream: str, *symbols: str) -> None:
    async def it_does() -> bool:
        return await running(cluster, stream) == sorted(symbols)

    await until(it_does)


async def a_second_later() -> None:
    """Wait for more than a second: Kubernetes knows the age of objects to the second."""
    await asyncio.sleep(1.1)


async def test_the_older_keeps_the_symbol_and_the_newer_runs_its_others(market: Market) -> None:
    await market.stream("zeta", ["AAA", "BBB"])  # it would come second in the order of names
    await runs(market, "zeta", "AAA", "BBB")
    await a_second_later()
    await market.stream("alpha", ["BBB", "CCC"])
    message = await market.says("alpha", "SpecValid", "False", "Conflict")
    assert "BBB" in message
    assert f"{market.namespace}/zeta" in message
    await runs(market, "alpha", "CCC")
    await market.says("alpha", "Ready", "False", "Conflict")
    await settle(market)
    await market.says("zeta", "Ready", "True", "Running")
    assert (await market.condition("zeta", "SpecValid"))[:2] == ("True", "Valid")


async def test_of_two_as_old_that_of_lesser_uid_keeps_it(market: Market) -> None:
    """Create both until both have the same second of creation."""
    for number in range(20):
        names = [f"one-{number}", f"other-{number}"]
        made = [await market.stream(name, ["AAA"]) for name in names]
        if len({each["metadata"]["creationTimestamp"] for each in made}) == 1:
            break
        for name in names:
            await market.delete(STREAMS, name)
    first, second = sorted(made, key=lambda each: str(each["metadata"]["uid"]))
    await market.says(second["metadata"]["name"], "SpecValid", "False", "Conflict")
    await market.says(first["metadata"]["name"], "SpecValid", "True", "Valid")


async def test_a_hand_over_waits_until_the_pods_of_the_older_are_gone(market: Market) -> None:
    await market.stream("older", ["AAA", "BBB"])
    deployments = await market.has_deployments("older", 4)
    last = next(one for one in deployments.values() if one["metadata"]["annotations"][SYMBOLS] == "AAA")
    await add_pod(market, last, "still-ending")
    await a_second_later()
    await market.stream("newer", ["AAA", "CCC"])
    await market.says("newer", "SpecValid", "False", "Conflict")
    await market.change("older", symbols=["BBB"])
    await runs(market, "older", "BBB")
    await market.says("newer", "Progressing", "True", "HandOver")
    await market.says("newer", "Ready", "False", "HandOver")
    assert await running(market, "newer") == ["CCC"]
    await market.delete(PODS, "still-ending")
    await runs(market, "newer", "AAA", "CCC")
    await market.says("newer", "SpecValid", "True", "Valid")


async def test_the_newer_takes_over_from_one_that_is_deleted(market: Market) -> None:
    """Its Deployments exist until the test deletes them in place of the garbage collector."""
    await market.stream("older", ["AAA"])
    deployments = await market.has_deployments("older", 2)
    await a_second_later()
    await market.stream("newer", ["AAA"])
    await market.says("newer", "SpecValid", "False", "Conflict")
    await market.delete(STREAMS, "older")
    await market.says("newer", "Progressing", "True", "HandOver")
    assert await running(market, "newer") == []
    for name in deployments:
        await market.delete("/apis/apps/v1/namespaces/{}/deployments", name)
    await runs(market, "newer", "AAA")


async def test_deployments_without_an_owner_are_named_with_the_command_that_deletes_them(market: Market) -> None:
    """`kubectl delete --cascade=orphan` leaves them, and no garbage collector ever deletes them."""
    await market.stream("older", ["AAA"])
    deployments = await market.has_deployments("older", 2)
    await market.delete(STREAMS, "older")
    for name in deployments:
        await market.patch(DEPLOYMENTS, name, {"metadata": {"ownerReferences": None}})
    await market.stream("newer", ["AAA", "BBB"])
    message = await market.says("newer", "Ready", "False", "Orphaned")
    await market.says("newer", "Degraded", "True", "Orphaned")
    await runs(market, "newer", "BBB")
    command = message.partition("if nobody needs them: kubectl ")[2]
    assert set(deployments) <= set(command.split())
    await market.api.kubectl(*command.split())
    await runs(market, "newer", "AAA", "BBB")
    await market.says("newer", "Degraded", "False", "AsExpected")


async def test_the_older_takes_a_symbol_that_it_asks_for_later(market: Market) -> None:
    await market.stream("older", ["AAA"])
    await a_second_later()
    await market.stream("newer", ["BBB", "CCC"])
    await runs(market, "newer", "BBB", "CCC")
    await market.change("older", symbols=["AAA", "BBB"])
    await runs(market, "newer", "CCC")
    await market.says("newer", "SpecValid", "False", "Conflict")
    await runs(market, "older", "AAA", "BBB")


async def test_the_same_symbol_of_another_exchange_is_another(market: Market) -> None:
    await market.stream("simulated", ["BTCUSDT"])
    await market.stream("real", ["BTCUSDT"], exchange="binance")
    await runs(market, "simulated", "BTCUSDT")
    await runs(market, "real", "BTCUSDT")


async def test_packed_symbols_are_handed_over_one_by_one(market: Market) -> None:
    async def packed(stream: str) -> dict[str, Any]:
        found = (await market.deployments(stream)).values()
        return {
            one["metadata"]["labels"]["marketstream.io/pair"]: one["metadata"]["annotations"][SYMBOLS] for one in found
        }

    await market.stream("older", ["AAA", "BBB"], symbolsPerPair=5)
    await market.has_deployments("older", 2)
    await a_second_later()
    await market.stream("newer", ["BBB", "CCC"], symbolsPerPair=5)
    await runs(market, "newer", "CCC")
    await market.change("older", symbols=["AAA"])

    async def handed_over() -> bool:
        return await packed("older") == {"p0": "AAA"} and await packed("newer") == {"p0": "CCC,BBB"}

    await until(handed_over)
