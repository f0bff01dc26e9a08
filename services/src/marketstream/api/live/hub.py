"""The hub passes frames from one subscription to Redis on to all clients of this process."""

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
from marketstream.redis.errors import LiveStoreContentError, LiveStoreError
from marketstream.redis.frames import Frame, FrameListener
from marketstream.redis.reader import LiveReader
from marketstream.telemetry import logger

log = logger(__name__)

TICK_S: Final = 0.1
"""Seconds between two checks of the clients that are behind."""

STATE_S: Final = 1.0
"""Seconds between two updates of states that depend on time: a quiet symbol becomes stale."""


class Hub:
    """The clients of this process and the symbols that they follow."""

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
        """Receive frames and pass them on until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._tick())

    def join(self, client: Client) -> None:
        """Add a client that has connected."""
        self._clients.add(client)
        metrics.CLIENTS.set(len(self._clients))

    def leave(self, client: Client) -> None:
        """Remove a client that has disconnected."""
        self._clients.discard(client)
        metrics.CLIENTS.set(len(self._clients))
        for subscription in client.subscriptions:
            subscription.followers.discard(client)

    async def follow(self, client: Client, exchange: str, symbol: str, interval: Interval, limit: int) -> None:
        """Subscribe the client: send a snapshot, and from then on the changes. Raises StoreError."""
        live = self._symbol(exchange, symbol)
        subscription = await live.follow(interval)
        snapshot = live.snapshot(subscription, limit)
        if client in self._clients:  # it may have disconnected while the candles were read
            subscription.followers.add(client)
            client.subscriptions[subscription] = limit
            client.show(snapshot)

    def unfollow(self, client: Client, exchange: str, symbol: str, interval: Interval) -> None:
        """End a subscription of the client."""
        key = exchange, symbol, interval.name
        for subscription in [each for each in client.subscriptions if each.key == key]:
            del client.subscriptions[subscription]
            subscription.followers.discard(client)

    async def _listen(self) -> None:
        waits = delays(0.1, 2.0)
        while True:
            try:
                async with self._listener.subscribed() as frames:
                    log.info("live data connected")
                    await self._restart()
                    waits = delays(0.1, 2.0)
                    async for frame in frames:
                        self._take(frame)
            except (LiveStoreError, StoreError) as error:
                self._lose(str(error))
                wait_s = next(waits)
                log.warning("live data disconnected, will reconnect", error=str(error), retry_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            except Exception as error:
                self._lose(f"{type(error).__name__}: {error}")
                wait_s = next(waits)
                log.exception("live data failed, will restart", retry_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _restart(self) -> None:
        """Read everything again and send snapshots in a new epoch, because frames may have been missed."""
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
            self._flush_symbol(live)

    def _next_epoch(self) -> None:
        self._state.epoch = f"{self._run_id}.{next(self._numbers)}"

    def _take(self, frame: Frame) -> None:
        live = self._symbol(frame.exchange, frame.symbol)
        try:
            live.take(frame)
        except LiveStoreContentError as error:
            log.warning("invalid frame skipped", exchange=frame.exchange, symbol=frame.symbol, error=str(error))
            return
        except Exception:
            log.exception("frame not applied, skipping it", exchange=frame.exchange, symbol=frame.symbol)
            return
        if not self._dirty:
            # This runs after all frames that have already arrived: under load, each client gets only the latest state.
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.add(live)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for live in dirty:
            self._flush_symbol(live)

    def _flush_symbol(self, live: LiveSymbol) -> None:
        """Send the changes of a symbol. An error concerns this symbol only."""
        try:
            live.flush()
        except Exception:
            log.exception("symbol update not sent", exchange=live.name[0], symbol=live.name[1])

    async def _tick(self) -> None:
        states_at = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            for client in [client for client in self._clients if client.is_behind]:
                self._catch_up(client)
            if (now := time.monotonic()) >= states_at:
                states_at = now + STATE_S
                for live in self._symbols.values():
                    self._flush_symbol(live)
                    live.forget()

    def _catch_up(self, client: Client) -> None:
        try:
            client.catch_up(partial(self._snapshots, client))
        except Exception:
            log.exception("snapshots of a client not sent")

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
