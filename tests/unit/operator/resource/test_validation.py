"""Errors of a spec: the field, what was given, what was expected and what to do."""

import re
from dataclasses import fields
from typing import Any

import pytest
from marketstream.settings import Settings
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import EXCHANGES, TUNING, Spec, Spelling
from marketstream_operator.resource.validation import RESERVED_ENV, read_spec


def spec(**more: Any) -> dict[str, Any]:
    return {"exchange": "binance", "symbols": ["BTCUSDT"], **more}


def test_the_least_that_a_spec_says() -> None:
    read = read_spec(spec())
    assert (read.exchange, read.symbols, read.symbols_per_pair, read.paused) == ("binance", ("BTCUSDT",), 1, False)
    assert (read.freshness.max_age_s, read.retention.trades_s, read.retention.on_delete) == (60, 86_400, "delete")
    assert (read.producer, read.producer.log_level) == (read.processor, "info")
    assert read == Spec(exchange="binance", symbols=("BTCUSDT",))


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"exchange": "kraken"}, "exchange", "got 'kraken', expected one of binance, simulator"),
        ({"exchange": 5}, "exchange", "got 5, expected a string: correct the value"),
        ({"symbols": []}, "symbols", "got [], expected a list of length >= 1"),
        ({"symbols": ["BTCUSDT", 5]}, "symbols[1]", "got 5, expected a string"),
        ({"symbols": ["btcusdt"]}, "symbols[0]", "got 'btcusdt', expected a symbol of binance: 2 to 32 capital"),
        ({"symbols": ["BTCUSDT", "BTC/USDT"]}, "symbols[1]", "got 'BTC/USDT', expected a symbol of binance"),
        ({"symbols": ["币安人生usdt"]}, "symbols[0]", "got '币安人生usdt', expected a symbol of binance"),
        (
            {"symbols": ["币" * 30]},
            "symbols[0]",
            "name of 285 characters, but Kafka allows at most 249: remove the symbol",
        ),
        ({"symbols": ["A" * 33]}, "symbols[0]", "expected a string of length <= 32"),
        ({"symbols": ["AB", "CD", "AB"]}, "symbols[2]", "got 'AB' twice, expected each symbol once"),
        (
            {"exchange": "simulator", "symbols": ["ETH/USDT"]},
            "symbols[0]",
            "got 'ETH/USDT', expected a symbol of simul",
        ),
        ({"symbolsPerPair": 0}, "symbolsPerPair", "got 0, expected a whole number >= 1"),
        ({"symbolsPerPair": 201}, "symbolsPerPair", "got 201, expected a whole number <= 200"),
        ({"symbol": "A"}, "symbol", "this operator does not know the field: correct its name, or update the operator"),
        ({"producer": {"replicas": 2}}, "producer.replicas", "this operator does not know the field"),
        ({"freshness": {"maxAge": "soon"}}, "freshness.maxAge", "got 'soon', expected a duration in days"),
        ({"freshness": {"maxAge": "61m"}}, "freshness.maxAge", "got '61m', expected a duration from 30s to 1h"),
        ({"retention": {"trades": "59s"}}, "retention.trades", "got '59s', expected a duration from 1m to 3650d"),
        (
            {"retention": {"onDelete": "maybe"}},
            "retention.onDelete",
            "got 'maybe', expected a word that kubectl explain lists",
        ),
        ({"endpoints": {"webSocket": "https://x"}}, "endpoints.webSocket", "got 'https://x', expected scheme, host"),
        ({"endpoints": {"rest": "https://x/v3"}}, "endpoints.rest", "expected scheme, host and port without a path"),
        (
            {"connectionSecretRef": {}},
            "connectionSecretRef.name",
            "got nothing, expected a value: the field is required",
        ),
        ({"producer": {"labels": {"marketstream.io/x": ""}}}, "producer.labels", "got 'marketstream.io/x', but"),
        (
            {"processor": {"annotations": {"app.kubernetes.io/name": ""}}},
            "processor.annotations",
            "but the operator reserves app.kubernetes.io/ and marketstream.io/: use another key",
        ),
        ({"processor": {"nodeSelector": {"no blanks": ""}}}, "processor.nodeSelector", "got the key 'no blanks'"),
        ({"producer": {"resources": {"limits": {"cpu": "much"}}}}, "producer.resources.limits[...]", "regex"),
        ({"producer": {"labels": {"a": None}}}, "producer.labels[...]", "expected a string, got nothing: correct the"),
    ],
)
def test_an_error_names_the_field_what_was_given_and_what_is_expected(
    wrong: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(spec(**wrong))
    assert caught.value.field == f"spec.{field}"
    assert message in caught.value.message
    assert str(caught.value) == f"{caught.value.field}: {caught.value.message}"


def test_what_is_missing() -> None:
    with pytest.raises(SpecError, match=r"spec\.exchange: got nothing"):
        read_spec({})


@pytest.mark.parametrize(
    ("env", "field", "message"),
    [
        (
            [{"name": "LOG_LEVEL", "value": "info"}],
            "[0].name",
            "LOG_LEVEL cannot be set in env: set logLevel, next to env",
        ),
        ([{"name": "SYMBOLS"}], "[0].name", "SYMBOLS cannot be set in env: set spec.symbols"),
        ([{"name": "KAFKA_CA_FILE"}], "[0].name", "set it in the Secret of spec.connectionSecretRef"),
        ([{"name": "HTTP_PORT", "value": "1"}], "[0].name", "HTTP_PORT cannot be set in env: the operator decides it"),
        ([{"name": "TZ"}, {"name": "TZ"}], "[1].name", "got TZ twice, expected each name once"),
        ([{"name": "1ST"}], "[0].name", "got '1ST', expected a string matching regex"),
        ([{"name": "A", "value": "1", "valueFrom": {}}], "[0]", "got value and valueFrom, expected only one of them"),
        ([{"name": "A", "valueFrom": {}}], "[0].valueFrom", "expected exactly one of secretKeyRef"),
        (
            [{"name": "PACK_MS", "value": "ten"}],
            "[0].value",
            "got 'ten': PACK_MS is not valid: expected a whole number",
        ),
        ([{"name": "PACK_MS", "value": "-1"}], "[0].value", "got '-1': PACK_MS is not valid: expected at least 0"),
    ],
)
def test_variables_that_cannot_be_set(env: list[dict[str, Any]], field: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(spec(processor={"env": env}))
    assert caught.value.field == f"spec.processor.env{field}"
    assert message in caught.value.message


@pytest.mark.parametrize("name", TUNING)
@pytest.mark.parametrize("kind", ["secretKeyRef", "configMapKeyRef"])
def test_a_setting_of_the_services_is_given_by_value(name: str, kind: str) -> None:
    """An error of a service names the setting, and may come to the eyes of somebody who may not read the Secret."""
    env = [{"name": name, "valueFrom": {kind: {"name": "connection", "key": "DATABASE_URL"}}}]
    with pytest.raises(SpecError) as caught:
        read_spec(spec(processor={"env": env}))
    assert caught.value.field == "spec.processor.env[0].valueFrom"
    assert f"got a source for {name}, expected a value" in caught.value.message


def test_a_reference_to_another_variable_is_no_value_of_a_setting() -> None:
    """Kubernetes would put the password in its place."""
    with pytest.raises(SpecError, match=r"env\[0\]\.value: got '\$\(DATABASE_URL\)'"):
        read_spec(spec(processor={"env": [{"name": "SIMULATOR_SEED", "value": "$(DATABASE_URL)"}]}))


def test_variables_that_can_be_set() -> None:
    names = [*TUNING, "TZ", "JAVA_OPTS"]
    env = [{"name": name, "value": "500"} for name in names]
    assert [variable.name for variable in read_spec(spec(producer={"env": env})).producer.env] == names


def test_every_setting_of_the_services_is_reserved_or_tunes() -> None:
    assert {f.name.upper() for f in fields(Settings)} == RESERVED_ENV | set(TUNING)
    assert RESERVED_ENV.isdisjoint(TUNING)


def test_symbols_may_have_letters_of_any_script() -> None:
    assert read_spec({"exchange": "binance", "symbols": ["币安人生USDT"]}).symbols == ("币安人生USDT",)


def test_symbols_that_would_share_a_topic_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exchange so far has symbols with separators."""
    monkeypatch.setitem(EXCHANGES, "kraken", Spelling("^[A-Z0-9]+([/-][A-Z0-9]+)?$", 20, "capital letters"))
    shared = "got 'BTC-USDT' and 'BTC/USDT', which would share the topic trades.kraken.btc-usdt: remove one of them"
    with pytest.raises(SpecError, match=re.escape(shared)):
        read_spec({"exchange": "kraken", "symbols": ["BTC/USDT", "BTC-USDT"]})
