"""A spec that passes the schema but cannot work: the status reports it, and running pods keep running."""

from typing import Any

import pytest

from tests.harness.operator.playing import Market, settle
from tests.harness.operator.running import STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

WRONG = {"env": [{"name": "PACK_MS", "value": "soon"}]}
"""Options of a workload that pass the schema."""

SECRETS = "/api/v1/namespaces/{}/secrets"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"connectionSecretRef": {"name": "missing"}}, "there is no Secret missing in namespace"),
        ({"connectionSecretRef": {"name": "empty"}}, "lacks KAFKA_BOOTSTRAP, DATABASE_URL, REDIS_URL"),
        ({"connectionSecretRef": {"name": "wrong"}}, "REDIS_URL does not begin with redis://"),
        ({"processor": {"nodeSelector": {"a b": "c"}}}, "spec.processor.nodeSelector: got the key 'a b'"),
        (
            {"producer": WRONG},
            "spec.producer.env[0].value: got 'soon': PACK_MS is not valid",
        ),
    ],
    ids=["no Secret", "no keys", "no URL", "no label", "no number"],
)
async def test_the_last_good_spec_keeps_running_and_the_status_says_why(
    market: Market, changes: dict[str, Any], said: str
) -> None:
    await market.put(SECRETS, {"metadata": {"name": "empty"}})
    await market.connect("kafka:9092", "postgresql://x/x", "cache:6379", name="wrong")
    await market.stream("majors", ["AAA", "BBB"])
    await market.has_deployments("majors", 4)
    await settle(market)
    await market.says("majors", "Ready", "True", "Running")
    before = await market.deployments()
    await market.change("majors", **changes)
    message = await market.says("majors", "SpecValid", "False", "Invalid")
    assert said in message
    assert "the last good spec keeps running" in message
    status = (await market.get(STREAMS, "majors"))["status"]
    assert status["pairs"]["summary"] == "2/2"
    assert status["reason"] == "Invalid"
    assert await market.deployments() == before
    name = next(iter(before))
    await market.delete("/apis/apps/v1/namespaces/{}/deployments", name)
    await market.has_deployments("majors", 4)  # it is still reconciled, not only left unchanged
    restored = dict.fromkeys(changes) | {"symbols": ["AAA", "BBB"]}
    await market.change("majors", **restored)
    await market.says("majors", "SpecValid", "True", "Valid")
    for secret in ("empty", "wrong"):
        await market.delete(SECRETS, secret)


async def test_an_operator_that_knows_no_good_version_leaves_what_runs_and_says_how_it_is(
    connected: Cluster, operate: Operate
) -> None:
    first = await operate()
    await connected.stream("majors", ["AAA", "BBB"])
    await connected.has_deployments("majors", 4)
    await settle(connected)
    await connected.says("majors", "Ready", "True", "Running")
    await first.end()
    before = await connected.deployments()
    await connected.change("majors", producer=WRONG)
    await operate()
    message = await connected.says("majors", "SpecValid", "False", "Invalid")
    assert "the last good spec keeps running" in message
    await connected.says("majors", "ProducersReady", "True", "AllReady")
    await connected.says("majors", "Paused", "False", "NotPaused")
    await connected.says("majors", "Fresh", "Unknown", "NotAsked")
    status = (await connected.get(STREAMS, "majors"))["status"]
    assert status["pairs"]["summary"] == "2/2"
    assert sorted(symbol["name"] for symbol in status["symbols"]) == ["AAA", "BBB"]
    assert await connected.deployments() == before


async def test_a_stream_that_never_could_work_makes_nothing_and_begins_when_it_can(market: Market) -> None:
    await market.stream("majors", ["AAA"], producer=WRONG)
    message = await market.says("majors", "SpecValid", "False", "Invalid")
    assert "keeps running" not in message
    await market.says("majors", "Ready", "False", "Invalid")
    await market.says("majors", "KafkaReady", "Unknown", "NotAsked")
    assert await market.deployments() == {}
    await market.change("majors", producer=None)
    await market.has_deployments("majors", 2)
    await market.says("majors", "SpecValid", "True", "Valid")


async def test_what_the_api_server_refuses_is_told_and_goes_on_when_it_is_corrected(market: Market) -> None:
    resources = {"requests": {"memory": "512Mi"}, "limits": {"memory": "256Mi"}}
    await market.stream("majors", ["AAA"], producer={"resources": resources})
    message = await market.says("majors", "SpecValid", "False", "Invalid")
    assert "422" in message
    assert "resources.requests: Invalid value" in message
    await market.says("majors", "Ready", "False", "Invalid")

    async def is_an_event() -> bool:
        events = (await market.get("/api/v1/namespaces/{}/events"))["items"]
        return any("resources.requests: Invalid value" in each["message"] for each in events)

    await until(is_an_event)
    resources["limits"]["memory"] = "512Mi"
    await market.change("majors", producer={"resources": resources})
    await market.has_deployments("majors", 2)
    await settle(market)
    await market.says("majors", "SpecValid", "True", "Valid")
    await market.says("majors", "Ready", "True", "Running")


async def test_a_secret_that_comes_later_is_found(market: Market) -> None:
    await market.stream("majors", ["AAA"], connectionSecretRef={"name": "later"})
    await market.says("majors", "SpecValid", "False", "Invalid")
    base = await market.get(SECRETS, "marketstream-connection")
    await market.put(SECRETS, {"metadata": {"name": "later"}, "data": base["data"]})
    await market.has_deployments("majors", 2)
    await market.says("majors", "SpecValid", "True", "Valid")
    await market.delete(SECRETS, "later")


async def test_a_secret_that_goes_stops_nothing(market: Market) -> None:
    base = await market.get(SECRETS, "marketstream-connection")
    await market.put(SECRETS, {"metadata": {"name": "other"}, "data": base["data"]})
    await market.stream("majors", ["AAA"], connectionSecretRef={"name": "other"})
    before = await market.has_deployments("majors", 2)
    await market.says("majors", "SpecValid", "True", "Valid")
    await market.delete(SECRETS, "other")
    message = await market.says("majors", "SpecValid", "False", "Invalid")
    assert "there is no Secret other" in message

    async def unchanged() -> bool:
        return set(await market.deployments()) == set(before)

    await until(unchanged)
