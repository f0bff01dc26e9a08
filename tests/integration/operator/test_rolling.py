"""Rolls of pods, a few pairs at a time: after a change of the spec, and of the operator's settings."""

import asyncio
from typing import Any

from tests.harness.operator.playing import Market, get_stuck, settle, unsettle
from tests.harness.operator.running import STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

SECRETS = "/api/v1/namespaces/{}/secrets"
MOST = 2


def image_of(deployment: Any) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def rolled(cluster: Cluster, image: str) -> set[str]:
    """Return the pairs of which a Deployment has the image."""
    found = (await cluster.deployments()).values()
    return {one["metadata"]["labels"]["marketstream.io/pair"] for one in found if image_of(one) == image}


async def has_rolled(cluster: Cluster, image: str, pairs: int) -> None:
    async def it_has() -> bool:
        return len(await rolled(cluster, image)) == pairs

    await until(it_has)


async def unsettled(cluster: Cluster) -> set[str]:
    return {
        one["metadata"]["labels"]["marketstream.io/pair"]
        for one in (await cluster.deployments()).values()
        if one["status"].get("observedGeneration", 0) < one["metadata"]["generation"]
    }


async def test_a_new_image_rolls_a_few_pairs_at_a_time_and_all_in_the_end(connected: Cluster, operate: Operate) -> None:
    first = await operate(SERVICES_IMAGE="services:1")
    await connected.stream("majors", ["AAA", "BBB", "CCC"])
    await connected.stream("minors", ["DDD", "EEE"])
    await connected.has_deployments("majors", 6)
    await connected.has_deployments("minors", 4)
    await settle(connected)
    await connected.says("minors", "Ready", "True")
    await connected.says("majors", "Ready", "True")
    await first.end()
    await operate(SERVICES_IMAGE="services:2", MAX_ROLLING_PAIRS=str(MOST))
    for pairs in (2, 4, 5):
        await has_rolled(connected, "services:2", pairs)
        if pairs == MOST:
            await asyncio.sleep(6)  # a resync grants no more turns than there are
            await connected.says("majors", "Progressing", "True")
        assert len(await unsettled(connected)) <= MOST
        await settle(connected)

    async def all_rolled() -> bool:
        return {image_of(one) for one in (await connected.deployments()).values()} == {"services:2"}

    await until(all_rolled)


async def test_a_pair_that_is_not_ready_needs_no_turn(connected: Cluster, operate: Operate) -> None:
    first = await operate(SERVICES_IMAGE="services:1")
    await connected.stream("majors", ["AAA", "BBB", "CCC"])
    await connected.has_deployments("majors", 6)
    await settle(connected)
    await connected.says("majors", "Ready", "True")
    for name, found in (await connected.deployments()).items():
        if "bbb" in found["metadata"]["labels"]["marketstream.io/pair"]:
            await unsettle(connected, name)
    await connected.says("majors", "Ready", "False")
    await first.end()
    await operate(SERVICES_IMAGE="services:2", MAX_ROLLING_PAIRS="1")
    await has_rolled(connected, "services:2", 2)  # the pair that has the turn, and the pair that needs none
    await connected.says("majors", "Progressing", "True", "WaitingForTurn")
    assert any("bbb" in pair for pair in await rolled(connected, "services:2"))


async def test_pairs_that_are_stuck_hold_up_no_others_but_an_image_that_does_not_start_comes_no_further(
    connected: Cluster, operate: Operate
) -> None:
    first = await operate(SERVICES_IMAGE="services:1")
    await connected.stream("broken", ["AAA", "BBB"])
    await connected.stream("majors", ["CCC", "DDD", "EEE", "FFF"])
    await connected.has_deployments("broken", 4)
    await connected.has_deployments("majors", 8)
    await settle(connected)
    await connected.says("majors", "Ready", "True")
    await connected.change("broken", producer={"logLevel": "debug"})

    async def changed() -> set[str]:
        return {name for name, one in (await connected.deployments()).items() if one["metadata"]["generation"] > 1}

    async def both_changed() -> bool:
        return len(await changed()) == 2

    await until(both_changed)
    stuck = await changed()
    for name in stuck:
        await get_stuck(connected, name)
    await connected.says("broken", "Progressing", "True", "RollingOut")
    await first.end()
    await operate(SERVICES_IMAGE="services:2", MAX_ROLLING_PAIRS=str(MOST))
    await has_rolled(connected, "services:2", 2 + MOST)  # the stuck pairs, and as many others as there are turns
    for name, one in (await connected.deployments()).items():
        if image_of(one) == "services:2":
            await get_stuck(connected, name)
    await asyncio.sleep(6)  # a resync grants no more turns than that
    assert len(await rolled(connected, "services:2")) == 2 + MOST
    await settle(connected)
    await has_rolled(connected, "services:2", 6)


async def test_an_image_that_does_not_start_comes_no_further_under_another_leader(
    connected: Cluster, operate: Operate
) -> None:
    first = await operate(SERVICES_IMAGE="services:1")
    await connected.stream("majors", ["AAA", "BBB", "CCC"])
    await connected.stream("minors", ["DDD", "EEE", "FFF"])
    await connected.has_deployments("majors", 6)
    await connected.has_deployments("minors", 6)
    await settle(connected)
    await connected.says("minors", "Ready", "True")
    await connected.says("majors", "Ready", "True")
    await first.end()
    broken = {"SERVICES_IMAGE": "services:broken", "MAX_ROLLING_PAIRS": str(MOST)}
    for _ in range(2):
        leader = await operate(**broken)
        await has_rolled(connected, "services:broken", MOST)
        for name, one in (await connected.deployments()).items():
            if image_of(one) == "services:broken":
                await get_stuck(connected, name)
        await asyncio.sleep(6)  # a resync grants no further turn
        assert len(await rolled(connected, "services:broken")) == MOST
        await leader.end()
    await operate(SERVICES_IMAGE="services:2", MAX_ROLLING_PAIRS=str(MOST))
    await has_rolled(connected, "services:2", 2 * MOST)  # the stuck pairs need no turn
    assert await rolled(connected, "services:broken") == set()


async def test_a_change_of_the_stream_rolls_a_few_of_its_pairs_at_a_time(connected: Cluster, operate: Operate) -> None:
    """A spec that does not start comes no further either, and holds up no other stream."""
    leader = await operate(MAX_ROLLING_PAIRS=str(MOST))
    await connected.stream("majors", ["AAA", "BBB", "CCC", "DDD", "EEE"])
    await connected.stream("minors", ["FFF"])
    await connected.has_deployments("majors", 10)
    await connected.has_deployments("minors", 2)
    await settle(connected)
    await connected.says("majors", "Ready", "True")
    await connected.says("minors", "Ready", "True")

    async def changed(stream: str, level: str, count: int) -> set[str]:
        """Wait until so many producers of a stream have the log level."""

        async def it_is_so() -> set[str] | None:
            names = {name for name, one in (await connected.deployments(stream)).items() if level in str(one["spec"])}
            return names if len(names) == count else None

        return await until(it_is_so)

    await connected.change("majors", producer={"logLevel": "debug"})
    stuck = await changed("majors", "debug", MOST)
    for name in stuck:
        await get_stuck(connected, name)
    await connected.says("majors", "Progressing", "True", "WaitingForTurn")
    await leader.end()
    await operate(MAX_ROLLING_PAIRS=str(MOST))
    await asyncio.sleep(6)  # a resync grants no further turn, under another leader either
    assert await changed("majors", "debug", MOST) == stuck
    await connected.change("minors", producer={"logLevel": "debug"})
    await changed("minors", "debug", 1)
    await connected.change("majors", producer={"logLevel": "error"})
    assert await changed("majors", "error", MOST) == stuck, "only those that are stuck need no turn"
    await settle(connected, *stuck)
    await changed("majors", "error", 2 * MOST)
    await settle(connected)
    await changed("majors", "error", 5)


async def test_other_credentials_roll_the_pods(market: Market) -> None:
    await market.stream("majors", ["AAA"])
    before = await market.has_deployments("majors", 2)
    await settle(market)
    await market.says("majors", "Ready", "True")
    await market.patch(SECRETS, "marketstream-connection", {"stringData": {"KAFKA_SASL_PASSWORD": "new"}})

    def credentials(one: Any) -> str:
        return str(one["spec"]["template"]["metadata"]["annotations"]["marketstream.io/credentials"])

    async def all_rolled() -> bool:
        now = await market.deployments()
        return all(credentials(now[name]) != credentials(before[name]) for name in before)

    await until(all_rolled)
    await settle(market)
    unrelated = {"metadata": {"labels": {"touched": "true"}}}
    after = await market.deployments()
    await market.patch(SECRETS, "marketstream-connection", unrelated)
    generation = (await market.get(STREAMS, "majors"))["metadata"]["generation"]
    await market.change("majors", retention={"trades": "48h"})

    async def looked_at() -> bool:
        return bool((await market.get(STREAMS, "majors"))["status"]["observedGeneration"] > generation)

    await until(looked_at)
    assert await market.deployments() == after
