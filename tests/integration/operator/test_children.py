"""The objects of a MarketStream, as the API server stores them."""

from marketstream.local.kafka import KafkaServer
from marketstream.settings import Settings
from marketstream_operator.names import pair_of_symbol

from tests.harness.operator.playing import Market, environment_of, settle
from tests.harness.operator.proxy import Proxy
from tests.harness.operator.running import DEPLOYMENTS, STREAMS, Cluster, until
from tests.integration.operator.conftest import Operate

PAIR = pair_of_symbol("BTCUSDT")
PRODUCER, PROCESSOR = f"majors-{PAIR}-producer", f"majors-{PAIR}-processor"


async def test_a_symbol_gets_a_producer_and_a_processor_that_belong_to_the_stream(
    market: Market, kafka: KafkaServer
) -> None:
    stream = await market.stream("majors", ["BTCUSDT"], freshness={"maxAge": "90s"})
    found = await market.has_deployments("majors", 2)
    assert sorted(found) == [PROCESSOR, PRODUCER]
    for name, deployment in found.items():
        assert deployment["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "marketstream.io/v1alpha1", "kind": "MarketStream", "name": "majors",
                "uid": stream["metadata"]["uid"], "controller": True, "blockOwnerDeletion": False,
            }
        ]  # fmt: skip
        role = name.rpartition("-")[2]
        read = Settings.from_environment(await environment_of(market, deployment))
        assert read == Settings(
            kafka_bootstrap=kafka.address,
            database_url="postgresql://nobody@127.0.0.1:1/none" if role == "processor" else "",
            redis_url=market.redis_url,
            exchange="simulator",
            symbols=("BTCUSDT",),
            topic_prefix=market.topic_prefix,
            topic_create=False,
            consumer_group=f"marketstream.{market.namespace}.majors.{PAIR}",
            max_age_s=90,
            start_limit_s=600,
            log_format="json",
        )


async def test_pods_pass_the_restricted_standard(market: Market) -> None:
    """The API server itself checks it: a namespace that enforces the standard rejects other pods."""
    await market.stream("majors", ["BTCUSDT"])
    found = await market.has_deployments("majors", 2)
    restricted = await market.api.namespace()
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await market.patch("/api/v1/namespaces", restricted, label)
    for name, deployment in found.items():
        template = deployment["spec"]["template"]
        pod = {"metadata": {"name": name, "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
        await market.api.request("POST", f"/api/v1/namespaces/{restricted}/pods", pod)
    await market.api.delete_namespace(restricted)


async def test_how_pods_run_is_handed_on_and_changes_roll_only_whom_they_concern(market: Market) -> None:
    processor = {
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}},
        "env": [{"name": "GRACE_MS", "value": "2000"}],
        "labels": {"team": "quotes"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 10, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}},
        ]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    }  # fmt: skip
    await market.stream("majors", ["BTCUSDT"], processor=processor)
    before = await market.has_deployments("majors", 2)
    pod = before[PROCESSOR]["spec"]["template"]["spec"]
    same = ("nodeSelector", "tolerations", "imagePullSecrets", "affinity", "topologySpreadConstraints")
    assert {name: pod[name] for name in same} == {name: processor[name] for name in same}
    assert pod["priorityClassName"] == "high"
    assert pod["containers"][0]["resources"] == processor["resources"]
    assert before[PROCESSOR]["spec"]["template"]["metadata"]["labels"]["team"] == "quotes"
    await market.change("majors", processor={"resources": {"requests": {"cpu": "500m"}}})

    async def rolled() -> bool:
        now = (await market.get(DEPLOYMENTS, PROCESSOR))["spec"]["template"]["spec"]["containers"][0]["resources"]
        return bool(now["requests"] == {"cpu": "500m", "memory": "256Mi"})

    await until(rolled)
    assert (await market.get(DEPLOYMENTS, PRODUCER))["metadata"]["generation"] == 1


async def test_symbols_come_and_go_without_a_touch_of_others(market: Market) -> None:
    await market.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await market.has_deployments("majors", 4)
    await settle(market)
    await market.says("majors", "Ready", "True", "Running")
    before = await market.deployments("majors")
    await market.change("majors", symbols=["BTCUSDT", "ETHUSDT", "SOLUSDT"])
    added = await market.has_deployments("majors", 6)
    assert {name: added[name] for name in before} == before
    await market.change("majors", symbols=["BTCUSDT", "SOLUSDT"])
    left = await market.has_deployments("majors", 4)
    assert {name for name in added if name not in left} == {
        f"majors-{pair_of_symbol('ETHUSDT')}-{role}" for role in ("producer", "processor")
    }
    assert {name: left[name] for name in left if name in before} == {n: before[n] for n in before if n in left}


async def test_a_stream_made_anew_under_the_same_name_takes_what_is_left_of_the_old(market: Market) -> None:
    """No garbage collector is running, so the children of the old stream still exist."""
    await market.stream("majors", ["BTCUSDT"])
    await market.has_deployments("majors", 2)
    await market.delete(STREAMS, "majors")
    uid = (await market.stream("majors", ["BTCUSDT"]))["metadata"]["uid"]

    async def taken() -> bool:
        found = await market.deployments("majors")
        return [[each["uid"] for each in one["metadata"]["ownerReferences"]] for one in found.values()] == [[uid]] * 2

    await until(taken)


async def test_what_changes_while_it_is_pruned_is_pruned_all_the_same(
    connected: Cluster, operate: Operate, proxy: Proxy
) -> None:
    await operate(proxy.kubeconfig(), RESYNC_S="600")
    await connected.stream("majors", ["BTCUSDT", "ETHUSDT"])
    await connected.has_deployments("majors", 4)
    await connected.says("majors", "SpecValid", "True")
    with proxy.answer(409, "DELETE", "/deployments/", count=2):
        await connected.change("majors", symbols=["BTCUSDT"])
        await connected.has_deployments("majors", 2)
