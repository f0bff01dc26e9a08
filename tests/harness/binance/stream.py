"""The WebSocket side: sessions of combined streams, with their limits and faults."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.harness.binance.clock import ExchangeClock
from tests.harness.binance.faults import Faults
from tests.harness.binance.market import Market
from tests.harness.binance.sources import ServerTrade

MOST_STREAMS = 1024
MOST_MESSAGES = 5
"""Messages per second that a client may send, including pings and pongs (WebSocket Streams: WebSocket Limits)."""

BadAnswer = Literal["error", "none", "ignored"]
"""Replaces an answer: by an error, by nothing, or by a confirmation of an ignored request."""


class Socket(ServerConnection):
    """A connection that records the times of incoming messages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrivals: deque[float] = deque(maxlen=MOST_MESSAGES + 1)

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.PING, Opcode.PONG):
            self.arrivals.append(time.monotonic())
        super().process_event(event)

    @property
    def too_fast(self) -> bool:
        """True if more messages arrived in the last second than allowed."""
        return len(self.arrivals) > MOST_MESSAGES and self.arrivals[-1] - self.arrivals[0] < 1


class Session:
    """One client: its subscriptions, and the faults of its connection."""

    def __init__(self, socket: Socket, bad_answers: deque[BadAnswer]) -> None:
        self.socket = socket
        self._bad_answers = bad_answers
        query = parse_qs(urlsplit(socket.request.path if socket.request else "").query)
        self.unit = 1 if query.get("timeUnit", [""])[0].upper() == "MICROSECOND" else 1000
        self.streams = set(query["streams"][0].split("/")) if "streams" in query else set()
        self.silent: set[str] = set()
        self.mute = False

    def send(self, frame: str) -> None:
        """Send without waiting, even if the client does not read."""
        if not self.mute:
            broadcast([self.socket], frame)

    async def listen(self) -> None:
        """Answer requests until the client disconnects or violates a limit."""
        async for text in self.socket:
            if self.socket.too_fast:
                await self.socket.close(1008, "Too many requests")
                return
            bad = self._bad_answers.popleft() if self._bad_answers else None
            if bad is None:
                self.send(json.dumps(self._answer(text)))
            elif bad == "error":
                self.send(json.dumps({"error": {"code": 2, "msg": "Invalid request"}, "id": json.loads(text)["id"]}))
            elif bad == "ignored":
                self.send(json.dumps({"result": None, "id": json.loads(text)["id"]}))
            if len(self.streams) > MOST_STREAMS:
                await self.socket.close(1008, "Too many streams")
                return

    def _answer(self, text: str | bytes) -> dict[str, Any]:
        try:
            asked = json.loads(text)
        except ValueError:
            return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
        match asked:
            case {"method": "SUBSCRIBE", "params": list(streams), "id": number}:
                self.streams.update(streams)
                return {"result": None, "id": number}
            case {"method": "UNSUBSCRIBE", "params": list(streams), "id": number}:
                self.streams.difference_update(streams)
                return {"result": None, "id": number}
            case {"method": "LIST_SUBSCRIPTIONS", "id": number}:
                return {"result": sorted(self.streams), "id": number}
            case {"id": number}:
                return {"error": {"code": 2, "msg": "Invalid request: unknown variant or parameters"}, "id": number}
        return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}


class StreamSide:
    """All sessions, and the task that sends the trades to them."""

    TICK_S = 0.002

    def __init__(self, markets: Mapping[str, Market], clock: ExchangeClock, faults: Faults) -> None:
        self._markets = markets
        self._clock = clock
        self._faults = faults
        self.sessions: list[Session] = []
        self.bad_answers: deque[BadAnswer] = deque()
        """Replacements of the next answers, to any client."""
        self.opened = 0

    async def serve(self, socket: ServerConnection) -> None:
        """Serve one client until it disconnects."""
        assert isinstance(socket, Socket)
        session = Session(socket, self.bad_answers)
        self.sessions.append(session)
        self.opened += 1
        try:
            await session.listen()
        except ConnectionClosed:
            pass
        finally:
            self.sessions.remove(session)

    async def pump(self) -> None:
        """Publish trades when their time has come, until cancelled."""
        while True:
            self.publish(self._clock.now_us())
            await asyncio.sleep(self.TICK_S)

    def publish(self, now_us: int) -> None:
        """Send the trades until `now_us` (Unix µs), in order of time."""
        due = [market for market in self._markets.values() if market.next_us <= now_us]
        happened = [(trade, market.symbol) for market in due for trade in market.advance(now_us)]
        for trade, symbol in sorted(happened, key=lambda pair: (pair[0].time_us, pair[1], pair[0].id)):
            for frame in self._faults.frames(_payload(symbol, trade, self._clock.reported_us())):
                self._send(symbol, frame)

    def send_all(self, message: Mapping[str, Any]) -> None:
        """Send a message to every session."""
        for session in self.sessions:
            session.send(json.dumps(message))

    def _send(self, symbol: str, frame: str) -> None:
        stream = f"{symbol.lower()}@trade"
        for session in self._listening(stream):
            # Only a well-formed frame can be converted to ms; a malformed one is malformed in either unit.
            session.send(frame if session.unit == 1 else _in_ms(frame))

    def _listening(self, stream: str) -> Iterable[Session]:
        return (session for session in self.sessions if stream in session.streams and stream not in session.silent)


def _payload(symbol: str, trade: ServerTrade, event_us: int) -> dict[str, Any]:
    return {
        "e": "trade", "E": event_us, "s": symbol, "t": trade.id, "p": trade.price, "q": trade.quantity,
        "T": trade.time_us, "m": trade.buyer_is_maker, "M": True,
    }  # fmt: skip


def _in_ms(frame: str) -> str:
    try:
        message = json.loads(frame)
    except ValueError:
        return frame
    message["data"]["E"] //= 1000
    message["data"]["T"] //= 1000
    return json.dumps(message, separators=(",", ":"))
