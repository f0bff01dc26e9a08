"""The replacement of connections that fail, end or grow old."""

import dataclasses

import pytest

from tests.harness.binance.listener import IMPATIENT, listening, until
from tests.harness.binance.server import BinanceServer
from tests.harness.binance.stream import BadAnswer
from tests.integration.exchanges.binance.symbols import SYMBOLS


@pytest.mark.parametrize("answer", ["error", "none"])
async def test_a_connection_that_does_not_confirm_is_replaced(server: BinanceServer, answer: BadAnswer) -> None:
    server.stream.bad_answers += [answer]
    timing = dataclasses.replace(IMPATIENT, answer_s=0.3)
    async with listening(server, SYMBOLS, timing) as listener:
        await listener.catch_up()
    assert server.stream.opened == 2


async def test_an_announced_shutdown_loses_no_trade(server: BinanceServer) -> None:
    async with listening(server, SYMBOLS) as listener:
        await listener.catch_up()
        server.announce_shutdown(5.0)
        await until(lambda: server.stream.opened == 2 and len(server.stream.sessions) == 1)
        await listener.catch_up()
        assert [listener.missing(symbol) for symbol in SYMBOLS] == [[], [], []]


async def test_the_replacement_of_an_old_connection_loses_no_trade(server: BinanceServer) -> None:
    timing = dataclasses.replace(IMPATIENT, age_s=1.0)
    async with listening(server, SYMBOLS, timing) as listener:
        await until(lambda: server.stream.opened >= 3)
        await listener.catch_up()
        assert [listener.missing(symbol) for symbol in SYMBOLS] == [[], [], []]
        assert len(server.stream.sessions) <= 2
