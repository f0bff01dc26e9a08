"""The fake exchange: one loopback port for both protocols, and the faults that a test requests."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.faults import Faults
from tests.harness.binance.limits import Limits
from tests.harness.binance.market import Market
from tests.harness.binance.rest import RestSide
from tests.harness.binance.sources import ServerTrade, generated, recorded
from tests.harness.binance.stream import Socket, StreamSide

HOST = "127.0.0.1"

_log = logging.getLogger("tests.harness.binance")
_log.setLevel(logging.WARNING)  # the library logs every answer of the REST side as a rejected handshake


class BinanceServer:
    """A fake Binance that runs inside `async with`. Create it with `from_recording` or `from_generator`."""

    def __init__(
        self, sources: Mapping[str, Iterable[ServerTrade]], clock: ExchangeClock, *, limits: Limits | None = None
    ) -> None:
        self.markets = {symbol: Market(symbol, trades) for symbol, trades in sources.items()}
        self.clock = clock
        self.limits = limits or Limits()
        self.faults = Faults()
        """Faults of the frames of the next trades, as in `server.faults.add("drop", 5)`."""
        self.rest = RestSide(self.markets, clock, self.limits)
        self.stream = StreamSide(self.markets, clock, self.faults)
        self._port = 0
        self._server: Server | None = None
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    def from_recording(cls, path: Path, *, speed: float = 1.0, seen: int = 0, limits: Limits | None = None) -> Self:
        """Play a dump with its own ids and times: the exchange's clock is that of the recording, `speed` times as fast.

        The first `seen` trades have happened at the start.
        """
        symbol, trades = recorded(path)
        return cls({symbol: trades}, ExchangeClock(trades[seen].time_us - 1, speed), limits=limits)

    @classmethod
    def from_generator(
        cls,
        symbols: Sequence[str],
        *,
        seed: int = 1,
        trades_per_second: float = 20.0,
        past_s: float = 60.0,
        begin_us: int | None = None,
        speed: float = 1.0,
        limits: Limits | None = None,
    ) -> Self:
        """Generate trades without end, at the present time.

        At the start, `past_s` seconds of trades have happened, or those since `begin_us` (Unix µs). Two servers with
        the same seed and the same `begin_us` have the same trades.
        """
        now_us = time.time_ns() // 1000
        if begin_us is None:
            begin_us = now_us - int(past_s * 1_000_000)
        sources = {symbol: generated(symbol, seed, begin_us, trades_per_second) for symbol in symbols}
        return cls(sources, ExchangeClock(now_us, speed), limits=limits)

    @property
    def ws_url(self) -> str:
        """The value for EXCHANGE_WS_URL."""
        return f"ws://{HOST}:{self._port}"

    @property
    def rest_url(self) -> str:
        """The value for EXCHANGE_REST_URL."""
        return f"http://{HOST}:{self._port}"

    async def start(self, port: int = 0, host: str = HOST) -> None:
        """Listen on `port`, or on a free port. A stopped server listens on its previous port again."""
        self.stream.publish(self.clock.now_us())
        self._server = await serve(
            self.stream.serve,
            host,
            port or self._port,
            process_request=self._request,
            create_connection=Socket,
            compression=None,
            ping_interval=20,
            ping_timeout=60,
            close_timeout=0.5,
            logger=_log,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._pump = asyncio.create_task(self.stream.pump())

    async def stop(self) -> None:
        """Drop every connection and stop listening. The market continues meanwhile."""
        self.abort()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def abort(self) -> None:
        """Reset every WebSocket without a closing handshake."""
        for session in self.stream.sessions:
            session.socket.transport.abort()

    async def close(self, code: int = 1001, reason: str = "going away") -> None:
        """Close every WebSocket with a closing handshake."""
        sessions = list(self.stream.sessions)
        await asyncio.gather(*(session.socket.close(code, reason) for session in sessions))

    def half_open(self) -> None:
        """Leave all sockets open, but send nothing any more, not even pongs."""
        for session in self.stream.sessions:
            session.mute = True
            with contextlib.suppress(RuntimeError):
                session.socket.transport.pause_reading()

    def silence(self, symbol: str) -> None:
        """Send no more trades of the symbol to the open sessions, which stay subscribed."""
        for session in self.stream.sessions:
            session.silent.add(f"{symbol.lower()}@trade")

    def announce_shutdown(self, ends_in_s: float) -> None:
        """Announce a shutdown to every session, and reset the session after `ends_in_s` seconds."""
        reported_us = self.clock.reported_us()
        doomed = list(self.stream.sessions)
        for session in doomed:
            event_time = reported_us // session.unit
            session.send(f'{{"stream":"!serverShutdown","data":{{"e":"serverShutdown","E":{event_time}}}}}')
            asyncio.get_running_loop().call_later(ends_in_s, session.socket.transport.abort)

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer REST requests, and pass WebSockets on."""
        path = request.path.partition("?")[0]
        if path in ("/stream", "/stream/"):
            return None
        if not path.startswith("/api/"):
            return connection.respond(HTTPStatus.NOT_FOUND, "no such path\n")
        answer = self.rest.answer(request.path, request.headers)
        response = connection.respond(HTTPStatus(answer.status), answer.body)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json;charset=UTF-8"
        for name, value in answer.headers.items():
            response.headers[name] = value
        return response
