"""Move trades from an exchange's feed to Kafka, in six kinds of tasks.

`read` reads the events of the feed, `send` sends the packed records, and `beat` sends the heartbeats of one symbol.
`watch_listings` asks the exchange again about symbols that it did not list, `watch_topics` retries topics that could
not be used, and `measure` updates a metric.

A heartbeat lets windows close, so two conditions must hold. First, its clock was received after all trades that it
covers, and those trades have been sent: a symbol's `clock_us` is only set once everything received before it has been
handed to Kafka. Second, none of those trades is still on its way: the heartbeat waits until Kafka has answered all of
them, because answers do not have to come in the order of the records.
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
from marketstream.exchanges.base import ClockAdvanced, ConnectionAlive, ConnectionChanged, Exchange, TradesReceived
from marketstream.exchanges.clock import now_us
from marketstream.exchanges.errors import ExchangeError, FeedError, PermanentError, UnknownSymbolError
from marketstream.exchanges.refusals import Refusals
from marketstream.kafka.publisher import Publisher
from marketstream.kafka.topics import topic_name, topic_problem
from marketstream.kafka.usable import UsableTopics
from marketstream.producer import metrics
from marketstream.producer.pack import Packer, last_id
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

MOST_PACKED: Final = 20_000
"""Maximum number of trades that wait to be sent. Beyond it the feed is not read, so a slow Kafka slows the feed."""

SILENCE_S: Final = 30.0
"""Seconds without an event of the feed, or without an answer from Kafka, after which the producer is not ready."""


LISTINGS_S: Final = 300.0
"""Seconds between two checks whether the exchange lists the symbols that it did not list before."""


class _Symbol:
    """The sending state of one symbol."""

    def __init__(self, settings: Settings, exchange: str, symbol: str) -> None:
        self.name = symbol
        self.topic = topic_name(settings.topic_prefix, exchange, symbol)
        self.clock_us = 0
        self.is_connected = True
        self.unanswered: set[asyncio.Future[bool]] = set()
        """The answers to records of trades that Kafka has not given yet."""
        self.max_acked_id = -1
        self.trades = metrics.TRADES.labels(symbol)
        self.records = metrics.RECORDS.labels(symbol)
        self.heartbeats = metrics.HEARTBEATS.labels(symbol)
        self.unlisted = metrics.UNLISTED.labels(symbol)
        self.stuck_s = metrics.STUCK.labels(symbol)


class Pipeline:
    """Publishes the trades and heartbeats of symbols. Call `open` before use and `close` afterwards."""

    def __init__(self, settings: Settings, exchange: Exchange, symbols: Sequence[str]) -> None:
        self._settings = settings
        self._exchange = exchange
        self._symbols = {symbol: _Symbol(settings, exchange.name, symbol) for symbol in symbols}
        self._topics = UsableTopics(settings, [symbol.topic for symbol in self._symbols.values()])
        refusals = Refusals()
        self._packer = Packer(
            exchange.name,
            lambda reason, count, symbol, error: refusals(reason, count, symbol=symbol, error=error),
        )
        self._publisher = Publisher(settings, on_failure=metrics.SEND_FAILURES.inc)
        metrics.UNACKNOWLEDGED.set_function(lambda: self._publisher.unacknowledged)
        # Still to be sent, in this order: records, and clocks, each of which holds once the records before it are sent.
        self._outbox: deque[tuple[_Symbol, TradesRecord | int | None]] = deque()
        self._packed, self._full, self._taken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._last_event_at = time.monotonic()
        self._ended = False
        self._is_broken = False
        self._listed: list[str] = list(symbols)
        self._unlisted: tuple[str, ...] = ()

    async def open(self) -> None:
        """Wait for the exchange, Kafka and the topics, of which one is enough. Raise PermanentError, BrokerError."""
        await self._find_listed()
        await self._topics.begin()
        await self._publisher.start()
        self._last_event_at = time.monotonic()
        log.info("publishing started", exchange=self._exchange.name, symbols=self._listed)

    async def _find_listed(self) -> None:
        """Wait until the exchange says which symbols it lists. Raise PermanentError if it lists none."""
        for delay in delays(0.5, 30.0):
            try:
                await self._check_listed()
                break
            except PermanentError:
                raise
            except ExchangeError as error:
                log.warning("check of symbols failed, will retry", error=str(error), retry_s=round(delay, 1))
            await asyncio.sleep(delay)

    async def _check_listed(self) -> None:
        """Note which symbols the exchange lists. Raise UnknownSymbolError if it lists none."""
        unlisted: tuple[str, ...] = ()
        try:
            await self._exchange.check(list(self._symbols))
        except UnknownSymbolError as error:
            unlisted = error.symbols
            if not set(self._symbols) - set(unlisted):
                raise
            if unlisted != self._unlisted:
                log.warning("symbols not listed by the exchange, skipped", symbols=unlisted, error=str(error))
        self._unlisted = unlisted
        self._listed = [name for name in self._symbols if name not in unlisted]
        for symbol in self._symbols.values():
            symbol.unlisted.set(symbol.name in unlisted)

    async def watch_listings(self) -> None:
        """Check every LISTINGS_S seconds, until cancelled, whether the exchange now lists the skipped symbols."""
        while True:
            await asyncio.sleep(LISTINGS_S)
            if self._unlisted:
                with contextlib.suppress(ExchangeError):  # the next check makes up for it
                    await self._check_listed()

    async def watch_topics(self) -> None:
        """Retry the topics that could not be used at the start, until cancelled. Their symbols begin when they can."""
        await self._topics.run()

    async def close(self) -> None:
        """Wait briefly for Kafka's last answers, then disconnect."""
        await self._publisher.close()

    def feed_problem(self) -> str | None:
        """Return a problem if the feed has been silent, without even a sign of life, although it has not ended."""
        silence = time.monotonic() - self._last_event_at
        return None if self._ended or silence < SILENCE_S else f"the feed has been silent for {silence:.0f} s"

    def kafka_problem(self) -> str | None:
        """Return a problem if Kafka does not accept records, of one symbol or of all."""
        if problem := topic_problem(self._troubles()):
            return problem
        silence = self._publisher.silence_s()
        return None if silence < SILENCE_S else f"Kafka has not acknowledged a record for {silence:.0f} s"

    def _troubles(self) -> dict[str, tuple[float, str]]:
        return self._topics.problems() | self._publisher.stuck()

    async def measure(self) -> None:
        """Update the metric of stuck topics every second, until cancelled."""
        while True:
            stuck = self._troubles()
            for symbol in self._symbols.values():
                symbol.stuck_s.set(stuck[symbol.topic][0] if symbol.topic in stuck else 0)
            await asyncio.sleep(1.0)

    async def read(self) -> None:
        """Read the feed until cancelled, and restart it when it breaks.

        Does not return when a feed ends: heartbeats continue with the feed's last clock.
        """
        waits = delays(0.5, 30.0)
        while not self._ended:
            last_event_at = self._last_event_at
            try:
                await self._read_once()
                self._ended = True
                log.info("feed ended", exchange=self._exchange.name)
            except FeedError as error:
                if self._last_event_at > last_event_at:
                    waits = delays(0.5, 30.0)
                delay = next(waits)
                metrics.FEED_RESTARTS.inc()
                self._is_broken = True
                log.warning("feed broke, will restart", error=str(error), retry_s=round(delay, 1))
                await asyncio.sleep(delay)
        await asyncio.Event().wait()

    async def _read_once(self) -> None:
        symbols = self._listed
        async with contextlib.aclosing(self._exchange.feed(symbols)) as feed:
            async for event in feed:
                self._last_event_at = time.monotonic()
                self._note_running()
                if isinstance(event, ConnectionChanged):
                    self._symbols[event.symbol].is_connected = event.is_open
                elif not isinstance(event, ConnectionAlive):  # which is no reading of a clock
                    await self._pack(event)
                if self._listed != symbols:  # after the event, which may hold trades
                    raise FeedError("the symbols that the exchange lists have changed")

    async def _pack(self, event: TradesReceived | ClockAdvanced) -> None:
        """Add the event to what is to be sent, unless its topic cannot be used, and wait while too much of it waits."""
        if self._symbols[event.symbol].topic in self._topics.waiting:
            return
        self._packer.add(event)
        self._packed.set()
        if self._packer.size >= MOST_PACKED:
            self._full.set()
            self._taken.clear()
            await self._taken.wait()

    def _note_running(self) -> None:
        """After the first event of a restarted feed, count its symbols as connected until the feed says otherwise."""
        if self._is_broken:
            self._is_broken = False
            for symbol in self._symbols.values():
                symbol.is_connected = True

    async def send(self) -> None:
        """Send the packed records, a few milliseconds after the first trade in them was received; until cancelled."""
        pack_s = self._settings.pack_ms / 1000
        while True:
            await self._packed.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), pack_s)
            self._packed.clear()
            self._full.clear()
            await self.send_packed()

    async def send_packed(self) -> None:
        """Send everything received so far. If this is cancelled, the next call sends the rest."""
        for part in self._packer.take():
            symbol = self._symbols[part.symbol]
            self._outbox.extend((symbol, record) for record in part.records)
            self._outbox.append((symbol, part.clock_us))
        self._taken.set()
        while self._outbox:
            symbol, entry = self._outbox[0]
            if isinstance(entry, TradesRecord):
                await self._send_record(symbol, entry)
            elif entry is not None:
                symbol.clock_us = entry
            self._outbox.popleft()

    async def _send_record(self, symbol: _Symbol, record: TradesRecord) -> None:
        data = encode(record)
        answer = await self._publisher.send(symbol.topic, data)
        # This callback is added before anything waits for the answer, so a later heartbeat finds the id counted.
        answer.add_done_callback(partial(_acknowledged, symbol, record))
        symbol.unanswered.add(answer)
        answer.add_done_callback(symbol.unanswered.discard)
        metrics.BYTES.inc(len(data))

    async def beat(self, name: str) -> None:
        """Send the symbol's heartbeats until cancelled, each after Kafka's answer to all trades it covers.

        They are sent without a connection as well. Their clock then stands still, and they say that it is lost.
        """
        symbol, interval_s = self._symbols[name], self._settings.heartbeat_ms / 1000
        await asyncio.sleep(interval_s * random())  # not all symbols at once
        while True:
            await asyncio.sleep(interval_s)
            clock_us, covered = symbol.clock_us, set(symbol.unanswered)
            if name in self._unlisted or symbol.topic in self._topics.waiting:  # no trade of it can be sent
                continue
            if covered:
                await asyncio.wait(covered)
            is_connected = symbol.is_connected and not self._is_broken
            heartbeat = Heartbeat(self._exchange.name, name, now_us(), clock_us, symbol.max_acked_id, is_connected)
            await asyncio.wait([await self._publisher.send(symbol.topic, encode(heartbeat))])
            symbol.heartbeats.inc()


def _acknowledged(symbol: _Symbol, record: TradesRecord, answer: "asyncio.Future[bool]") -> None:
    if answer.result():
        symbol.max_acked_id = max(symbol.max_acked_id, last_id(record))
        symbol.trades.inc(len(record.trades))
        symbol.records.inc()
