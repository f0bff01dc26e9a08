"""The typed spec: a round trip to JSON, and agreement with the exchanges and with a local run."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from marketstream.exchanges.errors import UnknownSymbolError
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.local import manifest
from marketstream.symbols import is_spelled
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import EXCHANGES, Endpoints, Spec
from marketstream_operator.resource.validation import read_spec

MANIFESTS = sorted((Path(__file__).parents[4] / "manifests").glob("*.yaml"))


def spec(**more: Any) -> dict[str, Any]:
    return {"exchange": "binance", "symbols": ["BTCUSDT"], **more}


def test_what_was_given_comes_back_as_json() -> None:
    """It can become part of a pod: quantities keep their form, and absent fields stay absent."""
    scheduling = {
        "resources": {"requests": {"cpu": "1000m", "memory": 1024}, "limits": {}},
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
        ]}},
        "tolerations": [{"operator": "Exists", "tolerationSeconds": 0, "effect": "NoExecute"}],
        "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }  # fmt: skip
    read = read_spec(spec(producer=scheduling)).producer
    del scheduling["resources"]["limits"]
    assert msgspec.json.decode(msgspec.json.encode(read)) == scheduling


@pytest.mark.parametrize(
    "symbol",
    [
        "BTCUSDT",
        "BTC/USDT",
        "BTC-USDT",
        "1INCH",
        "A" * 20,
        "A" * 21,
        "A",
        "A.B",
        "A/B/C",
        "/AB",
        "A-",
        "ab",
        "币安/USDT",
        "币 安",
        "é/USDT",
    ],
)
async def test_the_simulator_is_asked_for_what_it_has(symbol: str) -> None:
    try:
        await Simulator(1).check([symbol])
    except UnknownSymbolError:
        with pytest.raises(SpecError):
            read_spec(spec(exchange="simulator", symbols=[symbol]))
    else:
        read_spec(spec(exchange="simulator", symbols=[symbol]))


def test_a_local_run_knows_the_same_fields_and_exchanges() -> None:
    assert set(manifest.SPEC) == {field.encode_name for field in msgspec.structs.fields(Spec)}
    assert set(manifest.ENDPOINTS) == {field.encode_name for field in msgspec.structs.fields(Endpoints)}
    assert set(manifest.EXCHANGES) == set(EXCHANGES)


@given(st.sampled_from(sorted(EXCHANGES)).flatmap(lambda name: st.tuples(st.just(name), symbols(name))))
def test_a_local_run_takes_every_symbol_that_a_spec_may_name(named: tuple[str, str]) -> None:
    exchange, symbol = named
    read_spec(spec(exchange=exchange, symbols=[symbol]))
    assert is_spelled(symbol)


def symbols(exchange: str) -> st.SearchStrategy[str]:
    spelling = EXCHANGES[exchange]
    ascii_only = st.from_regex(spelling.pattern, fullmatch=True, alphabet="AZ09/-")
    spelled = ascii_only | ascii_only.map(lambda symbol: symbol.replace("Z", "币", 5))
    return spelled.filter(lambda symbol: 2 <= len(symbol) <= spelling.longest)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_an_example_is_read_by_the_operator_and_by_a_local_run(path: Path) -> None:
    local = manifest.read_manifest(path)
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    (stream,) = (document for document in documents if document["kind"] == "MarketStream")
    read = read_spec(stream["spec"])
    assert (read.exchange, read.symbols) == (local.exchange, local.symbols)
