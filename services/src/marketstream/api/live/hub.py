"""Between the feed of frames and the clients of this process: one subscription to Redis for all of them."""

import asyncio
import secrets
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

from marketstream.api import metrics
from marketstream.api.live.client import Client
from marketstream.api.live.symbol import HubState, LiveSymbol
from marketstream.backoff import delays
from marketstream.market.window import Interval
from marketstream.postgres.errors import StoreError
from marketstream.postgres.reader import StoreReader
from marketstream.redis.errors import LiveStoreContentError, LiveStoreUnavailableError
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.reader import LiveReader
from marketstream.telemetry import logger

log = logger(__name__)

TICK_S: Final = 0.1
"""Seconds between two looks at the clients that are behind."""

STATE_S: Final = 1.0
"""Seconds between two looks at what time alone changes: a symbol that is quiet becomes stale."""


class Hub:
    """Which clients follow which symbols."""

    def __init__(
        self,
        listener: FrameListener,
        store_reader: StoreReader,
        live_reader: LiveReader,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listener = listener
        self._state = HubState(store_reader, live_reader, clock)
        self._run_id: Final = secrets.token_hex(4)
        self._numbers = count()
        self._next_epoch()
        self._symbols: dict[tuple[str, str], LiveSymbol] = {}
        self._dirty: set[LiveSymbol] = set()
        self._clients: set[Client] = set()

    async def run(self) -> None:
        """Hears frames and passes them on, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._tick())

    def join(self, client: Client) -> None:
        """A client has connected."""
        self._clients.add(client)
        metrics.CLIENTS.set(len(self._clients))

    def leave(self, client: Client) -> None:
        """A client has gone."""
        self._clients.discard(client)
        metrics.CLIENTS.set(len(self._clients))
        for subscription in client.subscriptions:
            subscription.followers.discard(client)

    async def follow(self, client: Client, exchange: str, symbol: str, interval: Interval, limit: int) -> None:
        """Shows the client a snapshot of the subscription, and then what changes. Raises StoreError."""
        live = self._symbol(exchange, symbol)
        subscription = await live.follow(interval)
        snapshot = live.snapshot(subscription, limit)
        if client in self._clients:  # it may have gone while the candles were read
            subscription.followers.add(client)
            client.subscriptions[subscription] = limit
            client.show(snapshot)

    def unfollow(self, client: Client, exchange: str, symbol: str, interval: Interval) -> None:
        """The client is sent no more of the subscription."""
        key = exchange, symbol, interval.name
        for subscription in [each for each in client.subscriptions if each.key == key]:
            del client.subscriptions[subscription]
            subscription.followers.discard(client)

    async def _listen(self) -> None:
        waits = delays(0.1, 2.0)
        while True:
            try:
                async with self._listener.subscribed() as frames:
                    log.info("hearing live data")
                    await self._restart()
                    waits = delays(0.1, 2.0)
                    async for frame in frames:
                        self._take(frame)
            except (LiveStoreUnavailableError, StoreError) as error:
                self._lose(str(error))
                wait_s = next(waits)
                log.warning("cut off from live data", error=str(error), retry_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            except Exception as error:
                self._lose(f"{type(error).__name__}: {error}")
                wait_s = next(waits)
                log.exception("live data failed; it begins anew", retry_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _restart(self) -> None:
        """Frames are heard from now on: everything else is read again, and shown in a new epoch."""
        self._next_epoch()
        self._state.problem = None
        for live in list(self._symbols.values()):
            for subscription in await live.restart():
                for client in list(subscription.followers):
                    if isinstance(client, Client) and not client.is_behind:
                        client.show(live.snapshot(subscription, client.subscriptions[subscription]))

    def _lose(self, problem: str) -> None:
        self._state.problem = problem
        for live in self._symbols.values():
            live.problem = problem
            self._tell(live)

    def _next_epoch(self) -> None:
        self._state.epoch = f"{self._run_id}.{next(self._numbers)}"

    def _take(self, frame: Frame) -> None:
        live = self._symbol(frame.exchange, frame.symbol)
        try:
            live.take(frame)
        except LiveStoreContentError as error:
            log.warning("frame set aside", exchange=frame.exchange, symbol=frame.symbol, error=str(error))
            return
        except Exception:
            log.exception("frame set aside", exchange=frame.exchange, symbol=frame.symbol)
            return
        if not self._dirty:
            # After all frames that have already arrived: under load each client gets the latest of them only.
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.add(live)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for live in dirty:
            self._tell(live)

    def _tell(self, live: LiveSymbol) -> None:
        """Sends what is new of a symbol; one that cannot be shown keeps nothing from the others."""
        try:
            live.flush()
        except Exception:
            log.exception("a symbol cannot be shown", exchange=live.name[0], symbol=live.name[1])

    async def _tick(self) -> None:
        states_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            for client in [client for client in self._clients if client.is_behind]:
                self._catch_up(client)
            if (now := time.monotonic()) >= states_at:
                states_at = now + STATE_S
                for live in self._symbols.values():
                    self._tell(live)
                    live.forget()

    def _catch_up(self, client: Client) -> None:
        try:
            client.catch_up(partial(self._snapshots, client))
        except Exception:
            log.exception("a client cannot be shown the latest")

    def _snapshots(self, client: Client) -> list[bytes]:
        return [
            self._symbols[subscription.exchange, subscription.symbol].snapshot(subscription, limit)
            for subscription, limit in client.subscriptions.items()
        ]

    def _symbol(self, exchange: str, symbol: str) -> LiveSymbol:
        live = self._symbols.get((exchange, symbol))
        if live is None:
            live = self._symbols[exchange, symbol] = LiveSymbol(exchange, symbol, self._state)
        return live
