"""A producer between an exchange and a Kafka that do what a test says."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from marketstream.codec import Heartbeat, Record, decode
from marketstream.exchanges.base import FeedEvent, TradesReceived
from marketstream.exchanges.simulator.exchange import Simulator
from marketstream.market.trade import Trades
from marketstream.producer.service import run_producer
from marketstream.service import Health
from marketstream.settings import Settings

NOW_US = 1_790_000_000_000_000
SETTINGS = Settings(exchange="simulator", symbols=("A1",), heartbeat_ms=10, pack_ms=0)


class Script(Simulator):
    """An exchange whose feed yields the given events, raises the given exceptions, and stays silent after None."""

    def __init__(self, *says: FeedEvent | Exception | None) -> None:
        super().__init__(1)
        self._says = iter(says)

    async def feed(self, _: Sequence[str]) -> AsyncGenerator[FeedEvent, None]:
        for said in self._says:
            if said is None:
                await asyncio.Event().wait()
            elif isinstance(said, Exception):
                raise said
            else:
                yield said


@dataclass
class Kafka:
    """Keeps the records sent, each with its answer: success at once if `acknowledge`, else left to the test."""

    acknowledge: bool = True
    sent: list[tuple[Record, "asyncio.Future[bool]"]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    unacknowledged = 0

    async def start(self) -> None: ...

    def silence_s(self) -> float:
        return 0.0 if self.acknowledge else 31.0

    def stuck(self) -> dict[str, tuple[float, str]]:
        return {}

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        assert topic in ("trades.simulator.a1", "trades.simulator.a2")
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.acknowledge:
            answer.set_result(True)
        self.sent.append((decode(value), answer))
        self.changed.set()
        return answer

    async def close(self) -> None:
        self.closed = True

    async def until(self, enough: Callable[[list[Record]], bool]) -> list[Record]:
        async with asyncio.timeout(10):
            while not enough(records := [record for record, _ in self.sent]):
                self.changed.clear()
                await self.changed.wait()
        return records


def received(first_id: int, event_us: int) -> TradesReceived:
    return TradesReceived("A1", Trades(2, 6, first_id, [event_us], [100], [1], b"\1"), event_us, event_us)


def has_heartbeat(clock_us: int) -> Callable[[list[Record]], bool]:
    """Return a condition for `Kafka.until`: a heartbeat with this clock was sent."""
    return lambda records: any(isinstance(r, Heartbeat) and r.closes_before_us == clock_us for r in records)


async def run(exchange: Script, stop: asyncio.Event, health: Health | None = None) -> "asyncio.Task[None]":
    """Start a producer and return its task, once the producer is ready or has ended."""
    ready = asyncio.Event()
    task = asyncio.create_task(run_producer(SETTINGS, stop, exchange=exchange, health=health, ready=ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task
