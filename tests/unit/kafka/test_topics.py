"""The names of topics."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketstream.kafka.topics import topic_name, topic_names
from marketstream.producer.service import run_producer
from marketstream.settings import Settings, SettingsError


def test_each_symbol_has_a_topic_of_its_own() -> None:
    topics = {"trades.simulator.btc-usdt": "BTC/USDT", "trades.simulator.ethusdt": "ETHUSDT"}
    assert topic_names("trades", "simulator", ["BTC/USDT", "ETHUSDT"]) == topics


@pytest.mark.parametrize(("first", "second"), [("BTC/USDT", "BTC-USDT"), ("BTC-USDT", "btc/usdt")])
def test_two_symbols_of_one_topic_are_refused_by_name(first: str, second: str) -> None:
    with pytest.raises(SettingsError) as refused:
        topic_names("trades", "simulator", ["ETHUSDT", first, second])
    assert str(refused.value) == (
        f"the symbols {first!r} and {second!r} would share the topic trades.simulator.btc-usdt: remove one of them"
    )


async def test_a_producer_with_two_symbols_of_one_topic_does_not_start() -> None:
    settings = Settings(exchange="simulator", symbols=("BTC/USDT", "BTC-USDT"))
    with pytest.raises(SettingsError, match="'BTC/USDT' and 'BTC-USDT'"):
        await run_producer(settings, asyncio.Event())


@given(st.text("ABCXYZ0189/-.", min_size=1), st.sampled_from(["trades", "My_trades"]))
def test_names_of_ascii_symbols_are_the_symbols_in_lower_case(symbol: str, prefix: str) -> None:
    """A topic that exists must not get another name."""
    name = f"{prefix}.binance.{symbol}".lower().replace("/", "-")
    assert topic_name(prefix, "binance", symbol) == name


def test_other_letters_are_written_byte_by_byte() -> None:
    name = "trades.binance._e5_b8_81_e5_ae_89_e4_ba_ba_e7_94_9fusdt"
    assert topic_name("trades", "binance", "币安人生USDT") == name
    assert topic_name("trades", "replay", "BTCUSDT_240628") == "trades.replay.btcusdt_5f240628"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique_by=lambda text: text.lower()))
def test_any_symbols_have_valid_and_different_topics(symbols: list[str]) -> None:
    names = [topic_name("trades", "binance", symbol) for symbol in symbols if "/" not in symbol]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z0-9._-]+", name) for name in names)


def test_a_name_beyond_the_limit_of_kafka_is_refused() -> None:
    assert topic_names("trades", "binance", ["币" * 25])
    with pytest.raises(SettingsError, match=r"'币{27}' would have a name of 258 characters.*Kafka allows at most 249"):
        topic_names("trades", "binance", ["币" * 27])
