"""Names, labels and digests: they are stable, different where they must be, and as long as Kubernetes allows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.kafka.topics import topic_name
from marketstream_operator.manifests.rules import LONGEST_NAME
from marketstream_operator.names import (
    ROLES,
    StreamKey,
    child_name,
    consumer_group,
    digest,
    labels,
    pair_of_symbol,
    symbol_identity,
    topic_identity,
    topic_object,
)

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A name of an object that is also a value of a label."""


def test_documented_names_stay() -> None:
    """Users select objects by them, and processors would start again with another consumer group."""
    assert pair_of_symbol("BTCUSDT") == "btcusdt-19aa1"
    assert child_name("majors", "btcusdt-19aa1", "producer") == "majors-btcusdt-19aa1-producer"
    assert consumer_group(StreamKey("markets", "majors"), "p0") == "marketstream.markets.majors.p0"
    assert labels("majors", "binance", "producer", "p0") == {
        "app.kubernetes.io/name": "marketstream",
        "app.kubernetes.io/instance": "majors",
        "app.kubernetes.io/component": "producer",
        "app.kubernetes.io/part-of": "marketstream",
        "app.kubernetes.io/managed-by": "marketstream-operator",
        "marketstream.io/stream": "majors",
        "marketstream.io/exchange": "binance",
        "marketstream.io/pair": "p0",
    }


def test_a_topic_has_no_label_of_a_pair() -> None:
    assert "marketstream.io/pair" not in labels("majors", "binance", "topic")


@given(st.from_regex(r"[A-Z0-9]+([/-][A-Z0-9]+)?", fullmatch=True).filter(lambda text: len(text) <= 32))
def test_a_deployment_of_any_symbol_has_a_valid_name(symbol: str) -> None:
    for role in ROLES:
        assert LABEL.fullmatch(child_name("n" * (LONGEST_NAME - 1), pair_of_symbol(symbol), role)[-63:])
        assert len(child_name("n" * LONGEST_NAME, pair_of_symbol(symbol), role)) <= 253


@pytest.mark.parametrize(("one", "other"), [("BTC/USDT", "BTC-USDT"), ("A" * 20 + "1", "A" * 20 + "2")])
def test_symbols_that_look_alike_have_different_pairs(one: str, other: str) -> None:
    assert pair_of_symbol(one) != pair_of_symbol(other)


def test_symbols_that_share_a_topic_have_the_same_identity() -> None:
    assert symbol_identity("simulator", "BTC/USDT") == symbol_identity("simulator", "BTC-USDT")
    assert symbol_identity("simulator", "BTCUSDT") != symbol_identity("binance", "BTCUSDT")


def test_a_digest_depends_on_every_part_and_on_their_order() -> None:
    assert digest("a", "b") == digest("a", "b")
    assert len({digest("a", "b"), digest("b", "a"), digest("ab"), digest("a", ("b",)), digest("a", "b", "")}) == 5


def test_a_key_reads_as_namespace_and_name() -> None:
    assert str(StreamKey("markets", "majors")) == "markets/majors"


@given(st.text(st.sampled_from("币安人生ÉABC019"), min_size=1, max_size=32))
def test_a_deployment_of_a_symbol_in_any_script_has_a_valid_name(symbol: str) -> None:
    pair = pair_of_symbol(symbol)
    assert LABEL.fullmatch(pair)
    assert len(pair) <= len("abcdefghijklmnop-12345")


def test_symbols_that_differ_beyond_ascii_have_different_pairs() -> None:
    assert pair_of_symbol("币安人生USDT") == "usdt-c530928286"
    assert pair_of_symbol("币安USDT") != pair_of_symbol("币安人生USDT")


@pytest.mark.parametrize("topic", ["trades.binance.btcusdt", "trades.simulator.btc-usdt", "my.trades.binance.1000sats"])
def test_a_kafka_topic_object_has_the_name_of_the_topic(topic: str) -> None:
    """An object that exists must not get another name: its topic would be deleted with it."""
    assert topic_object(topic) == topic


@given(st.text(min_size=1, max_size=32), st.sampled_from(["trades", "My_Trades", "_"]))
def test_a_kafka_topic_object_has_a_valid_name(symbol: str, prefix: str) -> None:
    name = topic_object(topic_name(prefix, "binance", symbol))
    assert len(name) <= 253
    assert all(LABEL.fullmatch(part[-63:].lstrip("-")) for part in name.split("."))
    assert all(not part.startswith("-") for part in name.split("."))


def test_a_kafka_topic_object_of_letters_beyond_ascii_ends_in_a_hash() -> None:
    topic = topic_name("trades", "binance", "币安人生USDT")
    assert topic_object(topic) == "trades.binance.usdt-4404895b"
    assert topic_object(topic_name("trades", "binance", "币安USDT")) != topic_object(topic)


def test_the_identity_of_a_symbol_is_known_by_its_topic() -> None:
    topic = topic_name("prefix", "binance", "币安人生USDT")
    assert topic_identity(topic.removeprefix("prefix.")) == symbol_identity("binance", "币安人生USDT")
