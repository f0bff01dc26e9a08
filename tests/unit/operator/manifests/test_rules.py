"""The rules of the API server: each is in the CRD, and says the same as the operator's own checks."""

from collections.abc import Iterator
from typing import Any

import pytest
from marketstream_operator.manifests.crd import crd
from marketstream_operator.manifests.rules import OF_FIELD, OF_TYPE, ROOT, CelRule, symbol_rule, text
from marketstream_operator.resource.errors import SpecError
from marketstream_operator.resource.spec import EXCHANGES, Endpoints, Freshness, Retention
from marketstream_operator.resource.validation import read_spec

RULES = [*ROOT, *(rule for group in (*OF_TYPE.values(), *OF_FIELD.values()) for rule in group)]


def rules_in(schema: Any) -> Iterator[CelRule]:
    """The rules in a schema and in everything below it."""
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", ())
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from rules_in(each)


def test_every_rule_is_in_the_crd() -> None:
    written = list(rules_in(crd()))
    for rule in RULES:
        assert rule in written
        assert rule["message"].strip()
        assert "\n" not in rule["message"]


@pytest.mark.parametrize(("value", "literal"), [("a'b", r"'a\'b'"), (r"a\b", r"'a\\b'"), ("", "''")])
def test_a_string_is_written_as_a_literal(value: str, literal: str) -> None:
    assert text(value) == literal


def error_of(**changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        read_spec({"exchange": "binance", "symbols": ["BTCUSDT"], **changes})
    return caught.value.message


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_symbol_is_rejected_in_the_same_words_by_the_api_server_and_the_operator(exchange: str) -> None:
    rule = symbol_rule(exchange)
    assert f"got '--', {rule['message']}" == error_of(exchange=exchange, symbols=["--"])


@pytest.mark.parametrize(
    ("owner", "field", "place", "wrong"),
    [
        (Freshness, "maxAge", "freshness", ["soon", "1s"]),
        (Retention, "trades", "retention", ["soon", "1s"]),
        (Endpoints, "webSocket", "endpoints", ["ftp://x"]),
        (Endpoints, "rest", "endpoints", ["ftp://x"]),
    ],
)
def test_a_value_is_rejected_in_the_same_words_by_the_api_server_and_the_operator(
    owner: type, field: str, place: str, wrong: list[str]
) -> None:
    messages = [rule["message"] for rule in OF_FIELD[owner, field]]
    assert [f"got {value!r}, {message}" for value, message in zip(wrong, messages, strict=True)] == [
        error_of(**{place: {field: value}}) for value in wrong
    ]
