"""The names of topics."""

import asyncio

import pytest
from marketstream.kafka.topics import topic_names
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
        f"SYMBOLS has both {first!r} and {second!r}: expected symbols with different topics, but both would use "
        "trades.simulator.btc-usdt; remove one of them"
    )


async def test_a_producer_with_two_symbols_of_one_topic_does_not_start() -> None:
    settings = Settings(exchange="simulator", symbols=("BTC/USDT", "BTC-USDT"))
    with pytest.raises(SettingsError, match="'BTC/USDT' and 'BTC-USDT'"):
        await run_producer(settings, asyncio.Event())
