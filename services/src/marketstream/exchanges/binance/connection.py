"""One WebSocket of combined streams: open it, subscribe, and receive until it ends."""

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
"""Maximum number of streams of one connection (WebSocket Streams: WebSocket Limits)."""

STREAMS_A_MESSAGE: Final = 200
"""Maximum number of streams in one SUBSCRIBE: a full connection takes six messages."""

_PATH: Final = "/stream?timeUnit=MICROSECOND"
_CLOSE_S: Final = 1.0
_QUEUE: Final = 256


class _Socket(ClientConnection):
    """A connection that records when data last arrived. The library handles pings and pongs without a callback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.received_at_s = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self.received_at_s = time.monotonic()
        super().data_received(data)


class Connection:
    """Receives trades into `inbox`, from `open` until `close` or until the connection has `ended`."""

    def __init__(self, socket: _Socket, inbox: Inbox, refuse: Refusals, timing: Timing, now: Now) -> None:
        self.inbox = inbox
        self.shutdown = asyncio.Event()
        """Set once the server has announced that it will end the connection."""
        self._socket = socket
        self._refuse = refuse
        self._timing = timing
        self._now = now
        self._ids = itertools.count(1)
        self._answer: asyncio.Future[Answer] | None = None
        self._request_id = 0
        self.ended = asyncio.create_task(self._read(), name="binance-socket")
        """Done once the connection has ended; the result is the reason."""

    @classmethod
    async def open(
        cls, url: str, symbols: Sequence[str], inbox: Inbox, refuse: Refusals, timing: Timing, now: Now
    ) -> "Connection":
        """Open a connection to `url` and subscribe to the trades of `symbols`.

        Raises ConnectionFailedError if the connection does not open, or does not confirm all subscriptions.
        """
        try:
            socket = await connect(
                url + _PATH,
                compression=None,
                open_timeout=timing.open_s,
                # The library answers the server's pings. Pings of our own detect a half-open socket.
                ping_interval=timing.ping_s,
                ping_timeout=timing.pong_s,
                close_timeout=_CLOSE_S,
                max_queue=_QUEUE,
                create_connection=_Socket,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise ConnectionFailedError(f"cannot open a WebSocket to {url}: {error or type(error).__name__}") from error
        connection = cls(cast("_Socket", socket), inbox, refuse, timing, now)
        try:
            await connection._subscribe([f"{symbol.lower()}@trade" for symbol in symbols])
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def received_at_s(self) -> float:
        """The monotonic time at which anything, even a pong, last arrived."""
        return self._socket.received_at_s

    async def close(self) -> None:
        """Close the connection within a second, even if the other side does not respond."""
        await self._socket.close()
        await asyncio.wait([self.ended])

    async def _read(self) -> str:
        """Receive until the connection ends, and return the reason."""
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
                    self._handle_control(message)
        except ConnectionClosed as end:
            return str(end)

    def _handle_control(self, message: object) -> None:
        match message:
            case ServerShutdown():
                self.shutdown.set()
            # An error may come without an id: it answers the last request.
            case Answer(id=answered) if self._answer is not None and answered in (None, self._request_id):
                if not self._answer.done():
                    self._answer.set_result(message)
            case Answer():
                log.warning("Binance answered a request that was not sent", answer=message)

    async def _subscribe(self, streams: Sequence[str]) -> None:
        """Subscribe in chunks, each confirmed, and check the list of subscriptions at the end.

        Without that check, a stream that was silently not subscribed would look like a quiet market.
        """
        for start in range(0, len(streams), STREAMS_A_MESSAGE):
            await self._request("SUBSCRIBE", streams[start : start + STREAMS_A_MESSAGE])
            if len(streams) > STREAMS_A_MESSAGE:  # two messages in total never exceed the limit
                await asyncio.sleep(self._timing.pace_s)
        listed = await self._request("LIST_SUBSCRIPTIONS")
        missing = set(streams).difference(listed if isinstance(listed, list) else ())
        if missing:
            some = ", ".join(sorted(missing)[:10])
            raise ConnectionFailedError(f"Binance confirmed these subscriptions, but does not list them: {some}")

    async def _request(self, method: str, params: Sequence[str] | None = None) -> Any:
        """Send a request and return the result in the server's answer."""
        self._request_id = next(self._ids)
        self._answer = asyncio.get_running_loop().create_future()
        request = {"method": method, "id": self._request_id} | ({"params": params} if params is not None else {})
        try:
            await self._socket.send(msgspec.json.encode(request), text=True)
            signs: set[asyncio.Future[Any]] = {self._answer, self.ended}
            await asyncio.wait(signs, timeout=self._timing.answer_s, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionClosed as end:
            raise ConnectionFailedError(f"the connection ended during {method}: {end}") from end
        if not self._answer.done():
            reason = self.ended.result() if self.ended.done() else f"no answer within {self._timing.answer_s} s"
            raise ConnectionFailedError(f"{method} failed: {reason}")
        answer = self._answer.result()
        if answer.problem is not None:
            raise ConnectionFailedError(f"Binance refused {method}: {answer.problem}")
        return answer.result
