"""The CRD in a real API server: accepted and rejected objects, messages, and output of kubectl."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from marketstream_operator.resource.status import Condition, PairsStatus, Status, SymbolStatus
from marketstream_operator.resource.validation import read_spec

from tests.harness.operator.apiserver import ApiServer
from tests.harness.operator.kubectl import KubectlError

FILES = Path(__file__).parents[3] / "charts/marketstream/files"
MANIFESTS = {
    path.stem: list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for path in sorted((Path(__file__).parents[3] / "manifests").glob("*.yaml"))
}
CRD = yaml.safe_load((FILES / "crd.yaml").read_text(encoding="utf-8"))
NAME = "marketstreams.marketstream.io"
OPENAPI = "apis/marketstream.io/v1alpha1"


@pytest.fixture(scope="module")
async def server(apiserver: ApiServer) -> ApiServer:
    """An API server with the CRD, applied as a user would apply it."""
    await apiserver.kubectl("apply", "-f", str(FILES / "crd.yaml"))
    for _ in range(200):  # kubectl wait fails for a definition that has no status yet
        if await established(apiserver) and OPENAPI in (await apiserver.request("GET", "/openapi/v3"))["paths"]:
            return apiserver
        await asyncio.sleep(0.1)
    raise TimeoutError("the CRD is not served after 20 s")


async def established(server: ApiServer) -> bool:
    found = await server.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}")
    conditions = found["status"]["conditions"] or ()
    return {"Established", "NamesAccepted"} <= {one["type"] for one in conditions if one["status"] == "True"}


def stream(name: str = "majors", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "marketstream.io/v1alpha1",
        "kind": "MarketStream",
        "metadata": {"name": name},
        "spec": {"exchange": "binance", "symbols": ["BTCUSDT"], **spec},
    }


async def create(server: ApiServer, namespace: str, body: dict[str, Any], **query: str) -> Any:
    path = f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams"
    return await server.request("POST", path, body, query={"fieldValidation": "Strict", **query})


async def refusal(server: ApiServer, namespace: str, body: dict[str, Any]) -> str:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await create(server, namespace, body, dryRun="All")
    assert caught.value.response.status_code in (400, 422)
    return str(caught.value.response.json()["message"])


async def test_the_definition_is_accepted_as_it_is(server: ApiServer) -> None:
    found = await server.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}")

    assert await established(server)
    assert found["spec"]["versions"][0]["schema"] == CRD["spec"]["versions"][0]["schema"]


async def test_defaults_are_set(server: ApiServer, namespace: str) -> None:
    made = await create(server, namespace, stream())

    assert made["spec"] == {
        "exchange": "binance",
        "symbols": ["BTCUSDT"],
        "symbolsPerPair": 1,
        "paused": False,
        "freshness": {"maxAge": "60s"},
        "retention": {"trades": "24h", "onDelete": "delete"},
        "producer": {"logLevel": "info"},
        "processor": {"logLevel": "info"},
    }


async def test_what_the_server_stores_is_read(server: ApiServer, namespace: str) -> None:
    made = await create(server, namespace, stream(**EVERYTHING))

    assert read_spec(made["spec"]) == read_spec(stream(**EVERYTHING)["spec"])
    assert msgspec.json.decode(msgspec.json.encode(read_spec(made["spec"]))) == {
        "exchange": "binance",
        "symbols": ["BTCUSDT"],
        **EVERYTHING,
    }


NODES = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
NEAR = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {"matchLabels": {"app": "db"}},
    "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
}
EVERYTHING: dict[str, Any] = {
    "symbolsPerPair": 50,
    "paused": True,
    "freshness": {"maxAge": "1m30s"},
    "retention": {"trades": "7d", "onDelete": "keep"},
    "endpoints": {"webSocket": "wss://stream.example:9443", "rest": "https://api.example"},
    "connectionSecretRef": {"name": "elsewhere"},
    "producer": {
        "logLevel": "debug",
        "resources": {"requests": {"cpu": "500m", "memory": 1000}, "limits": {"memory": "1Gi"}},
        "env": [
            {"name": "PACK_MS", "value": "5"},
            {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
            {"name": "TWO", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "THREE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "FOUR", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ],
        "labels": {"team": "markets"},
        "annotations": {"example.com/note": "any text: at all"},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "high",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"operator": "Exists"},
            {"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60},
        ],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODES]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": NODES}],
            },
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]},
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": NEAR}]
            },
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "producer"}},
                "nodeTaintsPolicy": "Honor",
            }
        ],
    },
    "processor": {"resources": {"requests": {"cpu": 1}}},
}


def with_env(*env: dict[str, Any]) -> dict[str, Any]:
    return stream(producer={"env": list(env)})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (stream(exchange="kraken"), 'spec.exchange: Unsupported value: "kraken": supported values: "binance"'),
        (stream(exchange=None), "spec.exchange: Required value"),
        (stream(symbols=None), "spec.symbols: Required value"),
        (stream(symbols=[]), "spec.symbols: Invalid value: 0: spec.symbols in body should have at least 1 items"),
        (stream(symbols=[f"A{n}" for n in range(1001)]), "spec.symbols: Too many: 1001: must have at most 1000 items"),
        (stream(symbols=["BTCUSDT", "BTCUSDT"]), 'spec.symbols[1]: Duplicate value: "BTCUSDT"'),
        (stream(symbols=["A" * 33]), "spec.symbols[0]: Too long: may not be more than 32 bytes"),
        (
            stream(symbols=["BTCUSDT", "eth-usdt"]),
            "spec.symbols: Invalid value: got eth-usdt, expected a symbol of binance: 2 to 32 capital letters",
        ),
        (
            stream(symbols=["币安人生USDT", "币安usdt"]),
            "spec.symbols: Invalid value: got 币安usdt, expected a symbol of binance: 2 to 32 capital letters",
        ),
        (
            stream(exchange="simulator", symbols=["A" * 21]),
            f"got {'A' * 21}, expected a symbol of simulator: 2 to 20 capital letters and digits, such as",
        ),
        (stream(symbolsPerPair=0), "spec.symbolsPerPair in body should be greater than or equal to 1"),
        (stream(symbolsPerPair=201), "spec.symbolsPerPair in body should be less than or equal to 200"),
        (stream(symbol="BTCUSDT"), 'unknown field "spec.symbol"'),
        (stream(freshness={"maxAge": "soon"}), "expected a duration in days, hours, minutes and seconds, such as 60s"),
        (
            stream(freshness={"maxAge": "29s"}),
            'spec.freshness.maxAge: Invalid value: "29s": expected a duration from 30s to 1h',
        ),
        (stream(freshness={"maxAge": "1h1s"}), "expected a duration from 30s to 1h"),
        (stream(retention={"trades": "1.5h"}), 'spec.retention.trades: Invalid value: "1.5h": expected a duration'),
        (stream(retention={"trades": "59s"}), "expected a duration from 1m to 3650d"),
        (stream(retention={"trades": "3650d1s"}), "expected a duration from 1m to 3650d"),
        (stream(retention={"onDelete": "maybe"}), 'supported values: "delete", "keep"'),
        (
            stream(endpoints={"webSocket": "https://stream.example"}),
            'spec.endpoints.webSocket: Invalid value: "https://stream.example": expected scheme, host and port',
        ),
        (
            stream(endpoints={"rest": "https://api.example/v3"}),
            "expected scheme, host and port without a path, such as https",
        ),
        (stream(connectionSecretRef={}), "spec.connectionSecretRef.name: Required value"),
        (
            with_env({"name": "LOG_LEVEL", "value": "debug"}),
            "spec.producer.env[0].name: Invalid value: LOG_LEVEL cannot be set in env: the operator decides it, by",
        ),
        (with_env({"name": "X", "value": "1"}, {"name": "X", "value": "2"}), "spec.producer.env[1]: Duplicate value"),
        (
            with_env({"name": "X", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
            "spec.producer.env[0]: Invalid value: expected either value or valueFrom, got both",
        ),
        (with_env({"name": "X", "valueFrom": {}}), "expected exactly one of secretKeyRef, configMapKeyRef, fieldRef"),
        (
            with_env({"name": "SIMULATOR_SEED", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
            "spec.producer.env[0].valueFrom: Invalid value: got a source for SIMULATOR_SEED, expected a value",
        ),
        (
            stream(processor={"labels": {"app.kubernetes.io/name": "mine"}}),
            "spec.processor.labels: Invalid value: keys that begin with app.kubernetes.io/ or marketstream.io/ are",
        ),
        (
            stream(producer={"annotations": {"marketstream.io/pair": "p0"}}),
            "are reserved for the operator: use another key",
        ),
        (stream(producer={"labels": {"team": "no blanks"}}), "spec.producer.labels.team in body should match"),
        (stream(producer={"resources": {"limits": {"cpu": "much"}}}), "spec.producer.resources.limits.cpu in body"),
        (
            stream(producer={"tolerations": [{"value": "x"}]}),
            "expected a key, or operator: Exists to tolerate every taint",
        ),
        (
            stream(producer={"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}),
            "expected no value with operator: Exists",
        ),
        (
            stream(producer={"tolerations": [{"key": "a", "tolerationSeconds": 5}]}),
            "expected effect: NoExecute with tolerationSeconds",
        ),
        (stream("n" * 41), "metadata.name: expected at most 40 characters"),
        (stream("a.b"), "metadata.name: expected lower-case letters, digits and -, without dots"),
    ],
)
async def test_a_refusal_says_what_is_expected(
    server: ApiServer, namespace: str, body: dict[str, Any], message: str
) -> None:
    assert message in await refusal(server, namespace, body)


async def test_the_limits_themselves_are_accepted(server: ApiServer, namespace: str) -> None:
    most = stream("n" * 40, symbols=[f"SYMBOL{n:026}" for n in range(1000)], symbolsPerPair=200)
    most["spec"] |= {"freshness": {"maxAge": "60m"}, "retention": {"trades": "3650d"}}
    await create(server, namespace, most)


async def test_the_exchange_stays(server: ApiServer, namespace: str) -> None:
    await create(server, namespace, stream())

    with pytest.raises(KubectlError, match=r"spec\.exchange: Invalid value: .simulator.: cannot be changed"):
        await patch(server, namespace, {"spec": {"exchange": "simulator"}})
    await patch(server, namespace, {"spec": {"symbols": ["ETHUSDT"], "paused": True}})


async def patch(server: ApiServer, namespace: str, change: dict[str, Any], *more: str) -> str:
    return await server.kubectl(
        "patch", "mstream", "majors", "--namespace", namespace, "--type=merge", f"--patch={json.dumps(change)}", *more
    )


STATUS = Status(
    operator="markets/one",
    observed_generation=1,
    conditions=tuple(
        Condition(
            type=kind,
            status="False" if kind == "Paused" else "True",
            reason="Streaming",
            message="All is well.",
            last_transition_time="2026-03-01T12:00:00Z",
            observed_generation=1,
        )
        for kind in (
            "Ready",
            "Progressing",
            "Degraded",
            "SpecValid",
            "KafkaReady",
            "ProducersReady",
            "ProcessorsReady",
            "Fresh",
            "Paused",
        )
    ),
    symbols=(
        SymbolStatus(name="BTCUSDT", pair="btcusdt-1f2e", trades_per_second=12.0, complete=True),
        SymbolStatus(name="ETHUSDT", pair="ethusdt-3a4b"),
    ),
    symbol_count=2,
    pairs=PairsStatus.of(desired=2, ready=1),
    last_trade_time="2026-03-01T12:00:00Z",
    trades_per_second=12.5,
    reason="Streaming",
)


async def test_a_new_stream_is_pending_until_an_operator_has_seen_it(server: ApiServer, namespace: str) -> None:
    await create(server, namespace, stream())
    read = await server.request("GET", f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams/majors")
    conditions = {each["type"]: (each["status"], each["reason"]) for each in read["status"]["conditions"]}
    assert conditions == {"Ready": ("Unknown", "Pending"), "Reconciling": ("True", "Pending")}


async def test_the_columns_show_the_status(server: ApiServer, namespace: str) -> None:
    await create(server, namespace, stream(symbols=["BTCUSDT", "ETHUSDT"]))
    status = json.loads(msgspec.json.encode(STATUS))
    await patch(server, namespace, {"status": status}, "--subresource=status")

    shown = await server.kubectl("get", "mstream", "--namespace", namespace)
    wide = await server.kubectl("get", "marketstream", "-o", "wide", "--namespace", namespace)

    head, row = (re.split(r" {2,}", line.strip()) for line in shown.splitlines())
    assert head == ["NAME", "EXCHANGE", "SYMBOLS", "PAIRS", "READY", "FRESH", "AGE"]
    assert row[:-1] == ["majors", "binance", "2", "1/2", "True", "True"]
    head, row = (re.split(r" {2,}", line.strip()) for line in wide.splitlines())
    assert head[7:] == ["LAST TRADE", "TRADES/S", "PAUSED", "REASON"]
    assert row[8:] == ["12.5", "False", "Streaming"]
    assert "majors" in await server.kubectl("get", "marketstream", "--namespace", namespace)
    read = await server.request("GET", f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams/majors")
    assert read["status"] == status


async def test_a_status_without_values_takes_those_before_away(server: ApiServer, namespace: str) -> None:
    await create(server, namespace, stream())
    await patch(server, namespace, {"status": msgspec.to_builtins(STATUS)}, "--subresource=status")

    nothing = msgspec.to_builtins(Status(observed_generation=2))
    await patch(server, namespace, {"status": nothing}, "--subresource=status")

    read = await server.request("GET", f"/apis/marketstream.io/v1alpha1/namespaces/{namespace}/marketstreams/majors")
    assert read["status"] == {"observedGeneration": 2, "conditions": [], "symbols": []}


async def test_explain_describes_every_field(server: ApiServer) -> None:
    shown = await server.kubectl("explain", "marketstream", "--recursive")
    names = {line.split()[0] for line in shown.splitlines() if "\t" in line}
    assert {"symbolsPerPair", "topologySpreadConstraints", "tradesPerSecond"} <= names

    document = await server.request("GET", f"/openapi/v3/{OPENAPI}")
    served = document["components"]["schemas"]["io.marketstream.v1alpha1.MarketStream"]["properties"]
    assert [*undescribed("spec", served["spec"]), *undescribed("status", served["status"])] == []


def undescribed(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the fields at and below the path that have no description."""
    if len(schema.get("description", "")) < 10:
        yield path
    inner = schema.get("items", schema)
    for name, field in inner.get("properties", {}).items():
        yield from undescribed(f"{path}.{name}", field)


async def test_explain_reads_well(server: ApiServer) -> None:
    shown = " ".join((await server.kubectl("explain", "mstream.spec.producer.env")).split())
    assert "FIELD: env <[]Object>" in shown
    assert "Of MarketStream's own settings, only these may be set: PACK_MS, HEARTBEAT_MS" in shown
    assert "name <string> -required- Name of the variable." in shown


@pytest.mark.parametrize("example", MANIFESTS)
async def test_the_examples_are_accepted(server: ApiServer, namespace: str, example: str) -> None:
    """Only the MarketStream is checked: other objects in a manifest, such as its namespace, are the user's own."""
    for document in MANIFESTS[example]:
        if document["kind"] == "MarketStream":
            document["metadata"].pop("namespace", None)
            made = await create(server, namespace, document, dryRun="All")
            read_spec(made["spec"])


@pytest.mark.parametrize(("exchange", "symbol"), [("binance", "币安人生USDT"), ("simulator", "币安ÉUSDT")])
async def test_symbols_of_any_script_are_accepted(
    server: ApiServer, namespace: str, exchange: str, symbol: str
) -> None:
    made = await create(server, namespace, stream(exchange=exchange, symbols=[symbol]))
    assert read_spec(made["spec"]).symbols == (symbol,)
