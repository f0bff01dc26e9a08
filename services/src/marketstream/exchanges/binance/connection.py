"""One WebSocket of combined streams: opens, subscribes, and hears until it ends."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from marketstream.exchanges.binance.inbox import Inbox
from marketstream.exchanges.binance.messages import Answer, MessageError, ServerShutdown, TradeEvent, decode
from marketstream.exchanges.binance.timing import Timing
from marketstream.exchanges.clock import Now
from marketstream.exchanges.errors import ConnectionFailedError
from marketstream.exchanges.refusals import Refusals
from marketstream.telemetry import logger

log = logger(__name__)

MOST_STREAMS: Final = 1024
"""Streams of one connection (WebSocket Streams: WebSocket Limits)."""

STREAMS_A_MESSAGE: Final = 200
"""Streams that one SUBSCRIBE names: a full connection takes six messages."""

_PATH: Final = "/stream?timeUnit=MICROSECOND"
_CLOSE_S: Final = 1.0
_QUEUE: Final = 256


class _Socket(ClientConnection):
    """Notes when it was heard. The library answers pings, and hears pongs, without telling."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard_at_s = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self.heard_at_s = time.monotonic()
        super().data_received(data)


class Connection:
    """Hears the trades of `symbols` into `inbox`, from `open` until it is closed or `ended`."""

    def __init__(self, socket: _Socket, inbox: Inbox, refuse: Refusals, timing: Timing, now: Now) -> None:
        self.inbox = inbox
        self.shutdown = asyncio.Event()
        """Set when the server has said that it will end the connection."""
        self._socket = socket
        self._refuse = refuse
        self._timing = timing
        self._now = now
        self._ids = itertools.count(1)
        self._answer: asyncio.Future[Answer] | None = None
        self._asked = 0
        self.ended = asyncio.create_task(self._read(), name="binance-socket")
        """Done when the connection is; its result says why."""

    @classmethod
    async def open(
        cls, url: str, symbols: Sequence[str], inbox: Inbox, refuse: Refusals, timing: Timing, now: Now
    ) -> "Connection":
        """A connection that has confirmed all its subscriptions. Raises ConnectionFailedError."""
        try:
            socket = await connect(
                url + _PATH,
                compression=None,
                open_timeout=timing.open_s,
                # The library answers the server's pings; with pings of our own it finds a socket that is half open.
                ping_interval=timing.ping_s,
                ping_timeout=timing.pong_s,
                close_timeout=_CLOSE_S,
                max_queue=_QUEUE,
                create_connection=_Socket,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise ConnectionFailedError(f"{url} does not take a WebSocket: {error or type(error).__name__}") from error
        connection = cls(cast("_Socket", socket), inbox, refuse, timing, now)
        try:
            await connection._subscribe([f"{symbol.lower()}@trade" for symbol in symbols])
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def heard_at_s(self) -> float:
        """When anything last came, a pong too, by the monotonic clock."""
        return self._socket.heard_at_s

    async def close(self) -> None:
        """Ends it, in a second at most, whatever the other side does."""
        await self._socket.close()
        await asyncio.wait([self.ended])

    async def _read(self) -> str:
        """Hears until the end, and says how it came."""
        socket, inbox, now = self._socket, self.inbox, self._now
        try:
            while True:
                frame = await socket.recv(decode=False)
                try:
                    message = decode(frame, now())
                except MessageError as error:
                    self._refuse(error.reason, frame=frame[:200], error=str(error))
                    continue
                if type(message) is TradeEvent:
                    inbox.add(message)
                else:
                    self._hear_control(message)
        except ConnectionClosed as end:
            return str(end)

    def _hear_control(self, message: object) -> None:
        match message:
            case ServerShutdown():
                self.shutdown.set()
            # An error may come without an id: it is the answer to what was asked last.
            case Answer(id=answered) if self._answer is not None and answered in (None, self._asked):
                if not self._answer.done():
                    self._answer.set_result(message)
            case Answer():
                log.warning("an answer to nothing that was asked", answer=message)

    async def _subscribe(self, streams: Sequence[str]) -> None:
        """Subscribes in chunks, each confirmed, and asks for the list at the end: a stream that silently did not take
        would look like a quiet market."""
        for start in range(0, len(streams), STREAMS_A_MESSAGE):
            await self._ask("SUBSCRIBE", streams[start : start + STREAMS_A_MESSAGE])
            if len(streams) > STREAMS_A_MESSAGE:  # two messages in all are never too many
                await asyncio.sleep(self._timing.pace_s)
        listed = await self._ask("LIST_SUBSCRIPTIONS")
        missing = set(streams).difference(listed if isinstance(listed, list) else ())
        if missing:
            raise ConnectionFailedError(f"subscribed, but not listed: {', '.join(sorted(missing)[:10])}")

    async def _ask(self, method: str, params: Sequence[str] | None = None) -> Any:
        """The result that the server answers with."""
        self._asked = next(self._ids)
        self._answer = asyncio.get_running_loop().create_future()
        question = {"method": method, "id": self._asked} | ({"params": params} if params is not None else {})
        try:
            await self._socket.send(msgspec.json.encode(question), text=True)
            signs: set[asyncio.Future[Any]] = {self._answer, self.ended}
            await asyncio.wait(signs, timeout=self._timing.answer_s, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionClosed as end:
            raise ConnectionFailedError(f"the connection ended at {method}: {end}") from end
        if not self._answer.done():
            why = self.ended.result() if self.ended.done() else f"no answer in {self._timing.answer_s} s"
            raise ConnectionFailedError(f"{method} failed: {why}")
        answer = self._answer.result()
        if answer.problem is not None:
            raise ConnectionFailedError(f"{method} was refused: {answer.problem}")
        return answer.result
