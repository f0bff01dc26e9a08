"""From an exchange's feed to Kafka: `read` takes in what the feed brings, `send` sends what was packed, `beat` sends
the heartbeats of one symbol. Each is run as a task of its own.

A heartbeat lets windows close, so two things must hold. Its clock was heard after all trades it covers, and those
trades were sent: a symbol's `clock_us` is only set once everything heard before it has been handed to Kafka. And none
of them is still on its way: the heartbeat waits for Kafka's answer to the last one.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from random import random
from typing import Final

from marketstream.backoff import delays
from marketstream.codec import Heartbeat, TradesRecord, encode
from marketstream.exchanges.base import ConnectionAlive, Exchange
from marketstream.exchanges.clock import now_us
from marketstream.exchanges.errors import ExchangeError, FeedError, PermanentError
from marketstream.exchanges.refusals import Refusals
from marketstream.kafka.admin import ensure_topics
from marketstream.kafka.publisher import Publisher
from marketstream.kafka.topics import topic_name
from marketstream.producer import metrics
from marketstream.producer.pack import Packer
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_PACKED: Final = 20_000
"""Trades that may wait to be sent; beyond it the feed is read no further, and a slow Kafka is a slow feed."""

SILENCE_S: Final = 30.0
"""Seconds without a sign of the feed, or of Kafka, after which the producer is not ready."""


class _Symbol:
    """What has been sent of one symbol."""

    def __init__(self, settings: Settings, exchange: str, symbol: str) -> None:
        self.name = symbol
        self.topic = topic_name(settings.topic_prefix, exchange, symbol)
        self.clock_us: int | None = None
        self.last_answer: asyncio.Future[bool] | None = None
        self.max_acked_id = -1
        self.trades = metrics.TRADES.labels(symbol)
        self.records = metrics.RECORDS.labels(symbol)
        self.heartbeats = metrics.HEARTBEATS.labels(symbol)


class Pipeline:
    """The way of the trades of these symbols. Call `open` before and `close` after use."""

    def __init__(self, settings: Settings, exchange: Exchange, symbols: Sequence[str]) -> None:
        self._settings = settings
        self._exchange = exchange
        self._symbols = {symbol: _Symbol(settings, exchange.name, symbol) for symbol in symbols}
        refusals = Refusals()
        self._packer = Packer(
            exchange.name,
            lambda reason, count, symbol, error: refusals(reason, count, symbol=symbol, error=error),
        )
        self._publisher = Publisher(settings, on_failure=metrics.SEND_FAILURES.inc)
        metrics.UNACKNOWLEDGED.set_function(lambda: self._publisher.unacknowledged)
        # What is still to be sent, in order: records, and the clock that holds once those before it are sent.
        self._outbox: deque[tuple[_Symbol, TradesRecord | int | None]] = deque()
        self._packed, self._full, self._taken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._heard_at = time.monotonic()
        self._ended = False

    async def open(self) -> None:
        """Everything that must be there before the feed is read."""
        await self._check()
        await ensure_topics(self._settings, [symbol.topic for symbol in self._symbols.values()])
        await self._publisher.start()
        self._heard_at = time.monotonic()
        log.info("publishing", exchange=self._exchange.name, symbols=list(self._symbols))

    async def _check(self) -> None:
        """Raises PermanentError when the exchange does not have what is asked for; waits for one that is away."""
        for delay in delays(0.5, 30.0):
            try:
                await self._exchange.check(list(self._symbols))
                break
            except PermanentError:
                raise
            except ExchangeError as error:
                log.warning("the exchange does not answer yet", error=str(error), retry_s=round(delay, 1))
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """Waits a little for Kafka's last answers, then disconnects from it."""
        await self._publisher.close()

    def feed_problem(self) -> str | None:
        """For readiness: a feed that brings nothing, no sign of life either, unless it has come to its end."""
        silence = time.monotonic() - self._heard_at
        return None if self._ended or silence < SILENCE_S else f"the feed has been silent for {silence:.0f} s"

    def kafka_problem(self) -> str | None:
        """For readiness: a Kafka that does not acknowledge."""
        silence = self._publisher.silence_s()
        return None if silence < SILENCE_S else f"Kafka has not acknowledged a record for {silence:.0f} s"

    async def read(self) -> None:
        """Reads the feed, taken anew when it breaks; stays when it has ended, for heartbeats go on with its clock."""
        waits = delays(0.5, 30.0)
        while not self._ended:
            heard_at = self._heard_at
            try:
                await self._read_once()
                self._ended = True
                log.info("the feed has ended", exchange=self._exchange.name)
            except FeedError as error:
                if self._heard_at > heard_at:
                    waits = delays(0.5, 30.0)
                delay = next(waits)
                metrics.FEED_RESTARTS.inc()
                log.warning("the feed broke", error=str(error), retry_s=round(delay, 1))
                await asyncio.sleep(delay)
        await asyncio.Event().wait()

    async def _read_once(self) -> None:
        async with contextlib.aclosing(self._exchange.feed(list(self._symbols))) as feed:
            async for event in feed:
                self._heard_at = time.monotonic()
                if isinstance(event, ConnectionAlive):  # no heartbeat may follow from it
                    continue
                self._packer.hear(event)
                self._packed.set()
                if self._packer.size >= MOST_PACKED:
                    self._full.set()
                    self._taken.clear()
                    await self._taken.wait()

    async def send(self) -> None:
        """Sends what was packed, a few milliseconds after the first of it was heard."""
        pack_s = self._settings.pack_ms / 1000
        while True:
            await self._packed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), pack_s)
            self._packed.clear()
            self._full.clear()
            await self.send_packed()

    async def send_packed(self) -> None:
        """Sends all that has been heard so far. When cancelled, the rest waits for the next call."""
        for part in self._packer.take():
            symbol = self._symbols[part.symbol]
            self._outbox.extend((symbol, record) for record in part.records)
            self._outbox.append((symbol, part.clock_us))
        self._taken.set()
        while self._outbox:
            symbol, what = self._outbox[0]
            if isinstance(what, TradesRecord):
                await self._send_record(symbol, what)
            else:
                symbol.clock_us = what
            self._outbox.popleft()

    async def _send_record(self, symbol: _Symbol, record: TradesRecord) -> None:
        data = encode(record)
        answer = await self._publisher.send(symbol.topic, data)
        # Added before anyone waits for the answer, so that a heartbeat after it finds the id already counted.
        answer.add_done_callback(partial(_acknowledged, symbol, record))
        symbol.last_answer = answer
        metrics.BYTES.inc(len(data))

    async def beat(self, name: str) -> None:
        """Sends the symbol's heartbeats, each after Kafka's answer to all that its clock covers."""
        symbol, interval_s = self._symbols[name], self._settings.heartbeat_ms / 1000
        await asyncio.sleep(interval_s * random())  # not all symbols at once
        while True:
            await asyncio.sleep(interval_s)
            clock_us, last = symbol.clock_us, symbol.last_answer
            if clock_us is None:
                continue
            if last is not None:
                await asyncio.wait([last])
            heartbeat = Heartbeat(self._exchange.name, name, now_us(), clock_us, symbol.max_acked_id)
            await asyncio.wait([await self._publisher.send(symbol.topic, encode(heartbeat))])
            symbol.heartbeats.inc()


def _acknowledged(symbol: _Symbol, record: TradesRecord, answer: "asyncio.Future[bool]") -> None:
    if answer.result():
        symbol.max_acked_id = max(symbol.max_acked_id, _last_id(record))
        symbol.trades.inc(len(record.trades))
        symbol.records.inc()


def _last_id(record: TradesRecord) -> int:
    ids, counts = record.trades.all_ids(), record.trades.counts
    if counts is None:
        return ids[-1] if isinstance(ids, range) else max(ids)
    return max(first + count for first, count in zip(ids, counts, strict=True)) - 1
