"""The whole life of an installation. Each test builds on the ones before."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import ARTEFACTS, LIMIT_S
from tests.e2e import images, outside
from tests.e2e.kube import Kube, ProgramError, forwarded, is_ready, make_namespace, remove_namespaces, until
from tests.e2e.platform import (
    FIRST_CANDLE_S,
    GOAL_S,
    INSTALL_S,
    NAME,
    RESOURCE,
    SETTLED_S,
    STREAM,
    SYMBOLS,
    Definition,
    Platform,
    base_values,
    chart_copy,
    component,
    external_kafka,
)
from tests.e2e.truth import Twin

pytestmark = pytest.mark.e2e

NAMESPACE: Final = "marketstream-e2e"
BESIDE: Final = "marketstream-e2e-outside"
ADDED: Final = "ADAUSDT"
RATE: Final = 20.0
HEALED_S: Final = 180.0

KILLED: Final = {
    "producer": (f"marketstream.io/stream={STREAM},{component('producer')}", NAMESPACE),
    "processor": (f"marketstream.io/stream={STREAM},{component('processor')}", NAMESPACE),
    "api": (f"{component('api')},app.kubernetes.io/instance={NAME}", NAMESPACE),
    "operator": (f"{component('operator')},app.kubernetes.io/instance={NAME}", NAMESPACE),
    "kafka": ("app=kafka", BESIDE),
    "postgresql": (f"{component('postgresql')},app.kubernetes.io/instance={NAME}", NAMESPACE),
    "redis": (f"{component('redis')},app.kubernetes.io/instance={NAME}", NAMESPACE),
}
"""The components to kill, with the selector and the namespace of their pods."""


@pytest.fixture(scope="module")
async def platform(
    cluster: str, namespaces: list[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Create the namespaces, with the exchange and Kafka. The tests install the rest."""
    namespaces += [NAMESPACE, BESIDE]
    await remove_namespaces(namespaces)
    crd = await Definition.found(NAMESPACE)
    kube, beside = await make_namespace(NAMESPACE, {}), await make_namespace(BESIDE, {})
    twin = Twin([*SYMBOLS, ADDED], seed=11, rate=RATE)
    await beside.apply(*outside.exchange(twin.arguments), *outside.kafka(BESIDE))
    await outside.is_up(beside, outside.EXCHANGE, outside.KAFKA)
    chart, _ = await chart_copy(tmp_path_factory.mktemp("chart"))
    values = base_values(BESIDE) | external_kafka(BESIDE)
    platform = Platform(kube, beside, twin, chart, crd, values)
    async with platform.watching():
        yield platform


@pytest.fixture(autouse=True)
async def _nothing_false_was_seen(platform: Platform) -> AsyncIterator[None]:
    yield
    platform.watch.assert_well()


async def test_the_release_installs_and_all_of_it_is_ready(platform: Platform) -> None:
    took = await platform.install()
    print(f"helm install to all ready: {took:.1f} s")
    pods = await platform.kube.pods(f"app.kubernetes.io/instance={NAME}")
    assert sorted(pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods.values()) == [
        "api", "operator", "operator", "postgresql", "redis",
    ]  # fmt: skip
    assert all(is_ready(pod) for pod in pods.values())
    assert {status["restartCount"] for pod in pods.values() for status in pod["status"]["containerStatuses"]} == {0}


async def test_the_twin_has_the_trades_of_the_exchange(platform: Platform) -> None:
    async with (
        forwarded(platform.beside, f"service/{outside.EXCHANGE}", outside.EXCHANGE_PORT) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.port}") as client,
    ):

        async def told() -> Any:
            try:
                answer = await client.get("/api/v3/historicalTrades", params={"symbol": "BTCUSDT", "limit": 1000})
            except httpx.TransportError as error:
                raise ConnectionError(repr(error)) from error
            return answer.json()

        platform.twin.assert_same_trades("BTCUSDT", await until(told, 30))


async def test_a_stream_is_applied_and_the_first_candle_is_stored(platform: Platform) -> None:
    began = time.monotonic()
    await platform.apply()
    took = await platform.first_candle(SYMBOLS[0], began)
    print(f"kubectl apply to the first candle in PostgreSQL: {took:.1f} s (goal {GOAL_S:g} s)")
    await platform.settled()
    assert took < FIRST_CANDLE_S


async def test_every_candle_is_that_of_the_trades_sent(platform: Platform) -> None:
    took = await platform.watch.healed(platform.symbols, HEALED_S)
    await platform.says("Fresh", "True")
    print(f"all candles complete and exact after {took:.1f} s")


async def test_a_stranger_reaches_neither_store(platform: Platform) -> None:
    assert await platform.knock((f"{NAME}-postgresql", 5432), (f"{NAME}-redis", 6379), (f"{NAME}-api", 8000)) == {
        f"{NAME}-postgresql": "refused", f"{NAME}-redis": "refused", f"{NAME}-api": "reached",
    }  # fmt: skip


async def test_the_dashboard_shows_it_in_a_browser(platform: Platform, browser: Browser) -> None:
    complaints: list[str] = []
    async with forwarded(platform.kube, f"service/{NAME}-api", 8000) as port:
        url = f"http://127.0.0.1:{port.port}"
        async with httpx.AsyncClient(base_url=url) as client:
            await until(lambda: _answers(client), 30, "the API does not answer")
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(LIMIT_S * 1000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{url}/dashboard")
        await page.wait_for_function("() => window.marketstream?.drawn().some((bar) => 'open' in bar)")
        await page.wait_for_function("() => window.marketstream.open()?.trade_count > 20")
        await expect(page.locator("#badges")).to_contain_text("Live")
        await expect(page.locator("#watchlist")).to_contain_text("SOLUSDT")
        closed = await page.evaluate("() => window.marketstream.candles().length")
        await page.wait_for_function(f"() => window.marketstream.candles().length > {closed}")
        shown = await page.evaluate("() => window.marketstream.candles().filter((c) => c.complete)")
        ARTEFACTS.mkdir(exist_ok=True)
        await page.screenshot(path=ARTEFACTS / "e2e-dashboard.png")
        await page.close()
    assert not complaints
    platform.twin.advance()
    assert shown
    for candle in shown:
        row = platform.twin.truth.row("BTCUSDT", candle["window_start"])
        assert row is not None
        assert (candle["trade_count"], candle["first_trade_id"], float(candle["close"])) == (
            row.trade_count, row.first_trade_id, float(row.close),
        )  # fmt: skip


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_symbol_is_added_and_the_others_run_on(platform: Platform) -> None:
    before = await platform.stream_pods()
    platform.symbols.append(ADDED)
    began = time.monotonic()
    await platform.apply()
    took = await platform.first_candle(ADDED, began)
    print(f"from adding a symbol to its first candle: {took:.1f} s")
    await platform.settled()
    now = await platform.stream_pods()
    assert before.keys() < now.keys(), "pods of the other symbols were replaced"
    assert len(now) == len(before) + 2
    await platform.watch.healed(platform.symbols, HEALED_S)


async def test_a_symbol_is_removed_and_the_others_run_on(platform: Platform) -> None:
    before = await platform.stream_pods()
    platform.symbols.remove(ADDED)
    await platform.apply()

    async def gone() -> bool:
        now = await platform.stream_pods()
        assert len(now) == len(before) - 2, f"{len(now)} pods"
        assert now.keys() < before.keys()
        return True

    await until(gone, SETTLED_S)
    await platform.settled()
    await platform.watch.healed(platform.symbols, HEALED_S)


async def test_other_resources_roll_the_pods(platform: Platform) -> None:
    before = await platform.stream_pods()
    await platform.change(
        producer={"resources": {"requests": {"cpu": "30m", "memory": "96Mi"}, "limits": {"memory": "320Mi"}}},
        processor={"resources": {"requests": {"cpu": "40m", "memory": "112Mi"}, "limits": {"memory": "352Mi"}}},
    )
    await platform.settled()

    async def rolled() -> bool:
        now = await platform.stream_pods()
        asked = {
            pod["spec"]["containers"][0]["name"]: pod["spec"]["containers"][0]["resources"]["requests"]["memory"]
            for pod in now.values()
        }
        assert (len(now), asked) == (len(before), {"producer": "96Mi", "processor": "112Mi"})
        assert not now.keys() & before.keys()
        return True

    await until(rolled, SETTLED_S)
    took = await platform.watch.healed(platform.symbols, HEALED_S)
    print(f"complete {took:.1f} s after the roll")


@pytest.mark.parametrize("what", KILLED)
async def test_a_kill_loses_nothing(platform: Platform, what: str) -> None:
    selector, namespace = KILLED[what]
    kube = platform.kube if namespace == NAMESPACE else platform.beside
    before = await kube.pods(selector)
    assert before
    began = time.monotonic()
    await kube.run("delete", "pod", "-l", selector, "--now")
    await platform.replaced(kube, selector, before)
    ready = time.monotonic() - began
    if what == "operator":
        await _somebody_leads(platform)
    await platform.watch.healed(platform.symbols, HEALED_S)
    print(f"{what} ({len(before)} pods) killed: ready again after {ready:.1f} s, "
          f"complete after {time.monotonic() - began:.1f} s")  # fmt: skip


async def _somebody_leads(platform: Platform) -> None:
    """Check that the operator reconciles a change."""
    await platform.change(freshness={"maxAge": "90s"})
    await platform.settled()


async def test_a_pause_drains_and_the_resume_fills_what_was_missed(platform: Platform) -> None:
    began = time.monotonic()
    await platform.change(paused=True)
    await platform.says("Paused", "True", "Drained")

    async def all_gone() -> bool:
        return not await platform.stream_pods()

    await until(all_gone, SETTLED_S, "pods of a paused stream are left")
    print(f"drained after {time.monotonic() - began:.1f} s")
    ends = await _topic_ends(platform.beside)
    progress = await platform.fetch("SELECT topic, position FROM progress WHERE symbol = ANY($1)", platform.symbols)
    assert len(progress) == len(platform.symbols)
    assert all(row["position"] == ends[row["topic"]] for row in progress), (progress, ends)
    await asyncio.sleep(12)  # windows whose trades nobody receives
    began = time.monotonic()
    await platform.change(paused=False)
    await platform.settled()
    await platform.watch.healed(platform.symbols, HEALED_S)
    print(f"resumed, and all holes filled, after {time.monotonic() - began:.1f} s")


async def _topic_ends(beside: Kube) -> dict[str, int]:
    """Return the end offset of each topic."""
    said = await beside.run(
        "exec", f"{outside.KAFKA}-0", "--", "/opt/kafka/bin/kafka-get-offsets.sh",
        "--bootstrap-server", f"{outside.KAFKA}.{beside.namespace}.svc:{outside.KAFKA_PORT}",
    )  # fmt: skip
    return {topic: int(end) for topic, _, end in (line.rsplit(":", 2) for line in said.split())}


async def test_an_upgrade_to_production_values_is_refused(platform: Platform) -> None:
    pods = await platform.kube.pods("app.kubernetes.io/part-of=marketstream")
    sentence = "postgresql.storage.size is 100Gi, but the running PostgreSQL was installed with 1Gi"
    with pytest.raises(ProgramError, match=sentence):
        await platform.helm(
            "upgrade", NAME, str(platform.chart), "--reuse-values",
            "--values", str(platform.chart / "values-production.yaml"),
        )  # fmt: skip
    assert (await platform.kube.pods("app.kubernetes.io/part-of=marketstream")).keys() == pods.keys()
    await platform.settled()


async def test_an_upgrade_keeps_the_data_and_the_streams(platform: Platform) -> None:
    stores = await platform.kube.pods(component("postgresql")), await platform.kube.pods(component("redis"))
    connection = await platform.connection()
    tags = {name: {"tag": images.NEXT_TAG} for name in ("services", "operator")}
    platform.values |= {"images": tags, "api": platform.values["api"] | {"replicas": 2}}
    began = time.monotonic()
    await platform.helm(
        "upgrade", NAME, str(platform.chart), "--wait", f"--timeout={INSTALL_S:g}s",
        values=platform.values, limit=INSTALL_S + 10,
    )  # fmt: skip
    print(f"helm upgrade: {time.monotonic() - began:.1f} s")

    async def rolled() -> bool:
        pods = await platform.stream_pods()
        assert {pod["spec"]["containers"][0]["image"] for pod in pods.values()} == {
            f"marketstream/services:{images.NEXT_TAG}"
        }
        return len(pods) == 2 * len(platform.symbols)

    await until(rolled, SETTLED_S, "pairs have not rolled")
    await platform.settled()
    print(f"all pairs rolled after {time.monotonic() - began:.1f} s")
    assert len(await platform.kube.pods(component("api"))) == 2
    assert (await platform.kube.pods(component("postgresql"))).keys() == stores[0].keys()
    assert (await platform.kube.pods(component("redis"))).keys() == stores[1].keys()
    assert await platform.connection() == connection
    await platform.watch.healed(platform.symbols, HEALED_S)


async def test_helm_test_passes(platform: Platform) -> None:
    assert "Succeeded" in await platform.helm("test", NAME, "--timeout=120s")


async def test_an_uninstall_leaves_nothing_stuck_and_the_streams_as_they_are(platform: Platform) -> None:
    began = time.monotonic()
    await platform.helm("uninstall", NAME, "--wait", "--timeout=120s")
    print(f"helm uninstall: {time.monotonic() - began:.1f} s")

    async def only_the_data_is_left() -> bool:
        left = await platform.kube.list(
            "all,secret,configmap,persistentvolumeclaim,networkpolicy,role,rolebinding,serviceaccount,lease,"
            "poddisruptionbudget",
            f"app.kubernetes.io/instance={NAME}",
        )
        names = sorted(f"{each['kind']}/{each['metadata']['name']}" for each in left)
        assert names == [
            f"PersistentVolumeClaim/data-{NAME}-postgresql-0", f"Secret/{NAME}-postgresql", f"Secret/{NAME}-redis",
        ], names  # fmt: skip
        return True

    await until(only_the_data_is_left, SETTLED_S)
    assert len(await platform.stream_pods()) == 2 * len(platform.symbols)
    assert (await platform.kube.get(RESOURCE, STREAM))["spec"]["symbols"] == platform.symbols


async def test_a_new_release_resumes_where_the_old_one_stopped(platform: Platform) -> None:
    print(f"helm install again: {await platform.install():.1f} s")
    began = time.monotonic()
    await platform.settled()
    await platform.watch.healed(platform.symbols, HEALED_S)
    print(f"all holes filled after {time.monotonic() - began:.1f} s")


async def test_everything_is_removed_in_the_end(platform: Platform) -> None:
    print(f"{platform.watch.claims} complete candles seen, none of them wrong")
    await platform.kube.run("delete", RESOURCE, STREAM, "--wait", "--timeout=60s", limit=70)

    async def gone() -> bool:
        return not await platform.stream_pods()

    await until(gone, SETTLED_S, "pods of a deleted stream are left")
    await platform.helm("uninstall", NAME, "--wait", "--timeout=120s")
    await platform.crd.remove()
    print(f"namespaces deleted in {await remove_namespaces([NAMESPACE, BESIDE]):.1f} s")
