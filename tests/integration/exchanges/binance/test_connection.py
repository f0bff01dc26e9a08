"""One WebSocket: its subscriptions, and the ways in which it fails or ends."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest
from marketstream.exchanges.binance.connection import Connection
from marketstream.exchanges.binance.inbox import Inbox
from marketstream.exchanges.binance.scales import Scale, Scales
from marketstream.exchanges.clock import now_us
from marketstream.exchanges.errors import ConnectionFailedError
from marketstream.exchanges.refusals import Refusals
from marketstream.local.loopback import free_port

from tests.harness.binance.listener import IMPATIENT, until
from tests.harness.binance.server import BinanceServer
from tests.integration.exchanges.binance.symbols import SYMBOLS


async def connected(url: str, symbols: Sequence[str] = SYMBOLS, answer_s: float = 2.0) -> Connection:
    """Open a connection that is subscribed to the symbols."""
    refuse = Refusals()
    inbox = Inbox({symbol: Scales(Scale(2), Scale(6)) for symbol in symbols}, refuse, lambda: None)
    timing = dataclasses.replace(IMPATIENT, answer_s=answer_s)
    return await Connection.open(url, symbols, inbox, refuse, timing, now_us)


async def test_an_open_connection_is_subscribed_and_receives_trades(server: BinanceServer) -> None:
    connection = await connected(server.ws_url)
    (session,) = server.stream.sessions
    assert session.streams == {f"{symbol.lower()}@trade" for symbol in SYMBOLS}
    symbols: set[str] = set()
    async with asyncio.timeout(5):
        while len(symbols) < len(SYMBOLS):
            symbols |= {received.symbol for received in connection.inbox.take()}
            await asyncio.sleep(0.01)
    await connection.close()
    assert connection.ended.done()


async def test_an_address_without_a_server_is_an_error() -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailedError, match=f"cannot open a WebSocket to {url}"):
        await connected(url)


async def test_a_refused_subscription_is_an_error(server: BinanceServer) -> None:
    server.stream.bad_answers += ["error"]
    with pytest.raises(ConnectionFailedError, match="Binance refused SUBSCRIBE: Invalid request"):
        await connected(server.ws_url)
    await until(lambda: server.stream.sessions == [])


async def test_a_missing_answer_is_an_error(server: BinanceServer) -> None:
    server.stream.bad_answers += ["none"]
    with pytest.raises(ConnectionFailedError, match=r"SUBSCRIBE failed: no answer within 0\.2 s"):
        await connected(server.ws_url, answer_s=0.2)


async def test_a_subscription_that_is_confirmed_but_not_listed_is_an_error(server: BinanceServer) -> None:
    server.stream.bad_answers += ["ignored"]
    with pytest.raises(ConnectionFailedError, match="does not list them: btcusdt@trade, ethusdt@trade, solusdt@trade"):
        await connected(server.ws_url)


async def test_an_announced_shutdown_sets_the_event_before_the_end(server: BinanceServer) -> None:
    connection = await connected(server.ws_url)
    server.announce_shutdown(0.5)
    await asyncio.wait_for(connection.shutdown.wait(), 5)
    assert not connection.ended.done()
    await asyncio.wait_for(connection.ended, 5)
    assert "no close frame" in connection.ended.result()
    await connection.close()


async def test_a_closing_handshake_is_the_reason_of_the_end(server: BinanceServer) -> None:
    connection = await connected(server.ws_url)
    await server.close(1001, "going away")
    assert "1001 (going away)" in await asyncio.wait_for(connection.ended, 5)
    await connection.close()
