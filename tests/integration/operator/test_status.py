"""The status of a MarketStream: it is accurate, written at once, and no more often than needed."""

import json
from typing import Any

import pytest
from marketstream.local.kafka import KafkaServer
from marketstream_operator.names import pair_of_symbol
from redis.asyncio import Redis

from tests.harness.operator.playing import Market, add_pod, heard, settle, unsettle, waiting
from tests.harness.operator.running import PODS, STREAMS, Cluster, until

BTC, ETH = (f"majors-{pair_of_symbol(symbol)}" for symbol in ("BTCUSDT", "ETHUSDT"))


async def status_of(cluster: Cluster, stream: str = "majors") -> Any:
    return (await cluster.get(STREAMS, stream))["status"]


async def conditions_of(cluster: Cluster, stream: str = "majors") -> dict[str, Any]:
    return {each["type"]: each for each in (await status_of(cluster, stream))["conditions"]}


async def test_a_stream_becomes_ready_when_its_pods_are(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await market.has_deployments("majors", 4)
    await market.says("majors", "Ready", "False", "NotAllReady")
    await settle(market, f"{BTC}-producer")
    await market.says("majors", "ProducersReady", "False", words="1 of 2")  # a count is reported at once as well
    await settle(market)
    await market.says("majors", "Ready", "True", "Running")
    await market.says("majors", "Progressing", "False", "Settled")
    before = await conditions_of(market)
    assert (await status_of(market))["pairs"] == {"desired": 2, "ready": 2, "summary": "2/2"}
    await unsettle(market, f"{ETH}-processor")
    await market.says("majors", "ProcessorsReady", "False", "NotAllReady")
    await market.says("majors", "Ready", "False", "NotAllReady")
    after = await conditions_of(market)
    assert after["ProducersReady"] == before["ProducersReady"]
    assert (await status_of(market))["pairs"]["summary"] == "1/2"


async def test_the_generation_that_is_spoken_of(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    await market.says("majors", "SpecValid", "True")
    changed = await market.change("majors", processor={"logLevel": "debug"})

    async def observed() -> bool:
        return bool((await status_of(market))["observedGeneration"] == changed["metadata"]["generation"] == 2)

    await until(observed)
    assert {each["observedGeneration"] for each in (await conditions_of(market)).values()} == {2}


async def test_fresh_while_trades_are_heard_and_stale_when_the_feed_dies_although_all_pods_are_healthy(
    market: Market,
) -> None:
    await market.stream("majors", ["BTCUSDT", "ETHUSDT"], freshness={"maxAge": "30s"})
    await market.has_deployments("majors", 4)
    await settle(market)
    await market.says("majors", "Fresh", "Unknown", "NotHeardYet")
    async with heard(market.redis_url, "BTCUSDT", "ETHUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")
    # One feed dies. Instead of waiting half a minute, the test moves the other clock.
    async with heard(market.redis_url, "ETHUSDT"):
        await market.hear("BTCUSDT", 31.0)
        message = await market.says("majors", "Fresh", "False", "Stale")
        assert "BTCUSDT" in message
        assert "ETHUSDT" not in message
        assert (await market.condition("majors", "Ready"))[:2] == ("True", "Running")
        assert (await status_of(market))["reason"] == "Stale"
    async with heard(market.redis_url, "BTCUSDT", "ETHUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")


async def test_what_was_heard_of_a_symbol_is_not_said_of_another(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    async with heard(market.redis_url, "BTCUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")
        await market.change("majors", symbols=["NEWUSDT"])
        await market.says("majors", "Fresh", "Unknown", "NotHeardYet")
    async with heard(market.redis_url, "NEWUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")


async def test_what_runs_is_followed_though_the_api_server_refuses_what_is_wanted(market: Market) -> None:
    resources = {"requests": {"memory": "512Mi"}, "limits": {"memory": "256Mi"}}
    await market.stream("majors", ["BTCUSDT"], freshness={"maxAge": "30s"})
    async with heard(market.redis_url, "BTCUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")
        await market.change("majors", producer={"resources": resources})
        await market.says("majors", "SpecValid", "False", "Invalid")
        assert (await market.condition("majors", "Fresh"))[:2] == ("True", "Heard")
    await market.hear("BTCUSDT", 31.0)
    await market.says("majors", "Fresh", "False", "Stale")


async def test_what_is_heard_is_in_the_status(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    async with heard(market.redis_url, "BTCUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")
        status = await status_of(market)
    (symbol,) = status["symbols"]
    assert (symbol["name"], symbol["pair"], symbol["complete"]) == ("BTCUSDT", pair_of_symbol("BTCUSDT"), True)
    assert symbol["lastTradeTime"] == status["lastTradeTime"]
    rate = status["tradesPerSecond"]
    assert rate == symbol["tradesPerSecond"] == float(f"{rate:.2g}")
    assert 3 < rate < 30  # ten, unless the machine halts at the first or the last read


async def test_a_symbol_that_the_exchange_does_not_list_is_named_at_once(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT", "BTCUSDX"])
    async with heard(market.redis_url, "BTCUSDT"):
        await market.hear("BTCUSDX", 3600.0, unlisted=1)
        message = await market.says("majors", "Fresh", "False", "UnknownSymbol")
        assert "does not list BTCUSDX" in message


async def test_a_quiet_market_is_not_stale(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"], freshness={"maxAge": "30s"})
    async with heard(market.redis_url, "BTCUSDT", traded_seconds_ago=3600.0):
        await market.says("majors", "Fresh", "True", "Quiet")


async def test_without_redis_nobody_knows(market: Market, kafka: KafkaServer) -> None:
    await market.stream("majors", ["BTCUSDT"])
    async with heard(market.redis_url, "BTCUSDT"):
        await market.says("majors", "Fresh", "True", "Heard")
        await market.connect(kafka.address, "postgresql://x@127.0.0.1:1/x", "redis://127.0.0.1:1/0", name="elsewhere")
        await market.change("majors", connectionSecretRef={"name": "elsewhere"})
        await market.says("majors", "Fresh", "Unknown", "RedisUnavailable")
        await market.change("majors", connectionSecretRef=None)
        await market.says("majors", "Fresh", "True", "Heard")
    await market.delete("/api/v1/namespaces/{}/secrets", "elsewhere")


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (waiting("ImagePullBackOff", "Back-off pulling image"), "ImagePullFailed", "Back-off pulling image"),
        (
            waiting("CrashLoopBackOff", "back-off 5m0s", "starting\nGRACE_MS is s3cret [setting_invalid GRACE_MS]", 2),
            "CrashLoop",
            "a setting is missing or cannot be used (GRACE_MS): see the log of the pod (setting_invalid, exit code 2)",
        ),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), "PodConfigError", 'secret "x" not found'),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]},
            "Unschedulable",
            "0/3",
        ),
    ],
    ids=["image", "crash loop", "config", "unschedulable"],
)
async def test_why_a_pod_fails_is_said(market: Market, status: dict[str, Any], reason: str, message: str) -> None:
    await market.stream("majors", ["BTCUSDT"])
    deployment = (await market.has_deployments("majors", 2))[f"{BTC}-producer"]
    await market.says("majors", "Degraded", "False", "AsExpected")
    await add_pod(market, deployment, "failing", **status)
    assert await market.says("majors", "Degraded", "True", reason) == message
    assert (await status_of(market))["reason"] == reason
    await market.delete(PODS, "failing")
    await market.says("majors", "Degraded", "False", "AsExpected")


async def test_turns_for_better_or_worse_are_events(market: Market) -> None:
    stream = await market.stream("majors", ["BTCUSDT"])
    deployments = await market.has_deployments("majors", 2)
    await settle(market)
    await market.says("majors", "Ready", "True")
    crashing = waiting("CrashLoopBackOff", "", "boom", 1)
    await add_pod(market, deployments[f"{BTC}-producer"], "failing", **crashing)
    await market.says("majors", "Degraded", "True", "CrashLoop")

    async def events() -> list[tuple[str, str, str]]:
        found = await market.get("/api/v1/namespaces/{}/events")
        return [
            (each["type"], each["reason"], each["message"])
            for each in found["items"]
            if each["involvedObject"]["uid"] == stream["metadata"]["uid"]
        ]

    async def told() -> bool:
        return ("Warning", "CrashLoop", "exit code 1: see the log of the pod") in await events()

    await until(told)
    assert sorted(await events()) == [
        ("Normal", "Running", "1 of 1 pairs are running"),
        ("Normal", "TopicsReady", "every symbol has its topic"),
        ("Warning", "CrashLoop", "exit code 1: see the log of the pod"),
    ]
    described = await market.api.kubectl("-n", market.namespace, "describe", "mstream", "majors")
    events_shown = described.partition("Events:")[2]
    assert "exit code 1: see the log of the pod" in events_shown
    assert "boom" not in described


async def test_a_stream_that_begins_badly_says_so_in_an_event(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"], connectionSecretRef={"name": "missing"})
    await market.says("majors", "SpecValid", "False", "Invalid")

    async def events() -> str:
        described = await market.api.kubectl("-n", market.namespace, "describe", "mstream", "majors")
        return described.partition("Events:")[2]

    async def told() -> bool:
        return "there is no Secret missing" in await events()

    await until(told)
    assert "(x2" not in await events()  # several conditions have this message, but there is one Event


async def test_trades_that_go_on_are_written_once_a_minute_at_most(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT"])
    await market.has_deployments("majors", 2)
    await settle(market)
    async with heard(market.redis_url, "BTCUSDT"):
        await market.says("majors", "Ready", "True")
        await market.says("majors", "Fresh", "True", "Heard")
        before = await market.get(STREAMS, "majors")
        async with Redis.from_url(market.redis_url) as client:
            first = await client.hgetall("stream:simulator:BTCUSDT")

            async def much_was_traded() -> bool:
                now = await client.hgetall("stream:simulator:BTCUSDT")
                return int(now[b"last_trade_id"]) - int(first[b"last_trade_id"]) > 120  # twelve seconds, two resyncs

            await until(much_was_traded)
        after = await market.get(STREAMS, "majors")
    assert json.dumps(after) == json.dumps(before)
