"""An owned symbol: the state that results from the records of its topic."""

import time
from collections import deque
from typing import Final

from marketstream.codec import End, Heartbeat, Quiet, Record, TradesRecord, UnorderedRecord
from marketstream.kafka.consumer import Offsets
from marketstream.market.aggregator import Aggregator
from marketstream.market.candle import UNORDERED_IDS
from marketstream.market.errors import TradeError
from marketstream.market.ledger import Ledger
from marketstream.market.trade import FUTURE_US, LATEST_US, WRONG_CLOCK_US
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, Numbered, SymbolKey
from marketstream.processor import metrics
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

TAPE_RECORDS: Final = 50
"""Maximum number of newest records kept for the next frame, which shows at most that many trades."""

SILENCE_S: Final = 15.0
"""Minimum seconds without a heartbeat after which the symbol's feed no longer counts as connected."""

SILENCE_HEARTBEATS: Final = 10
"""The same minimum as a number of heartbeat intervals. The longer of the two times applies."""

LOGGED_EACH: Final = 100
"""Number of rejected records of a symbol that are all logged. After that, every 100th one is logged."""


class OwnedSymbol:
    """A symbol that this process owns, from its claim to its loss."""

    def __init__(
        self,
        key: SymbolKey,
        topic: str,
        claim: Claim,
        newest_closed: StoredCandle | None,
        offsets: Offsets,
        settings: Settings,
    ) -> None:
        self.key: Final = key
        self.topic: Final = topic
        self.fence: Final = claim.fence
        self.position = claim.progress.resume_offset
        """The offset after the last record applied."""
        self.newest_closed = newest_closed
        """The newest closed candle as it is stored, or None if there is none."""
        self.aggregator: Final = Aggregator(
            claim.progress,
            grace_us=settings.grace_ms * 1000,
            max_id_jump=settings.max_id_jump,
            max_holes=settings.max_holes,
        )
        # The records that said so may not be read again.
        self.ledger.is_unordered = newest_closed is not None and newest_closed.incomplete_reason == UNORDERED_IDS
        self.tape: Final[deque[TradesRecord]] = deque(maxlen=TAPE_RECORDS)
        """The newest records applied since the last frame."""
        self.changed: set[int] = set()
        """The starts (Unix seconds) of windows whose stored candles have changed since the last frame."""
        self.backfilling = False
        """True while missing trades are being fetched from the exchange's history."""
        self.unlisted = False
        """True if the exchange answered that it does not list the symbol, until the next trade."""
        self.untraded_at_us: int | None = None
        """The local time at which the exchange last answered that the symbol was never traded, or None."""
        self._commit_number = claim.commit_number
        self._stored_position = claim.progress.position
        self._rejected = 0
        self._end_at_claim = offsets.end
        self.beginnings = 0
        """The number of times that the topic was deleted and created again since the claim."""
        self._traded_at = self._heartbeat_at = time.monotonic()
        self._was_connected = True
        self._silence_s = max(SILENCE_S, SILENCE_HEARTBEATS * settings.heartbeat_ms / 1000)
        self._skip_lost(offsets)

    @property
    def symbol(self) -> str:
        """The symbol's name at the exchange."""
        return self.key.symbol

    @property
    def ledger(self) -> Ledger:
        """The ledger of the symbol's trade ids."""
        return self.aggregator.ledger

    @property
    def is_read_up(self) -> bool:
        """True if all records that the topic held at the claim have been applied."""
        return self.position >= self._end_at_claim

    @property
    def heard_until_us(self) -> int | None:
        """The time (Unix µs) up to which the trades, or their absence, are known by evidence; None if there is none.

        The evidence is a trade, or the exchange's report that there was none. A heartbeat is no evidence: it shows that
        the connection is alive, but the symbol's subscription may have died on it.
        """
        newest = self.ledger.newest_run()
        return newest.high_time if newest is not None else self.untraded_at_us

    @property
    def quiet_for_s(self) -> float:
        """The seconds since the last trade was applied, by the local clock."""
        return time.monotonic() - self._traded_at

    @property
    def is_connected(self) -> bool:
        """True unless the last heartbeat says that the feed has no connection, or no heartbeat was read for long."""
        return self._was_connected and time.monotonic() - self._heartbeat_at < self._silence_s

    @property
    def is_due(self) -> bool:
        """True if candles or verdicts wait for a commit."""
        return self.aggregator.is_due

    @property
    def has_moved(self) -> bool:
        """True if records were applied since the last commit was taken."""
        return self.position != self._stored_position

    def take(self) -> Numbered:
        """Return the next commit. It must be stored before the one that the next call returns."""
        commit = self.aggregator.take(self.position)
        self._commit_number += 1
        self._stored_position = self.position
        return Numbered(self.fence, self._commit_number, commit)

    def apply(self, offset: int, record: Record) -> None:
        """Apply the record at `offset`, or raise TradeError and change nothing if it cannot be true.

        Its times are held to the clock of its receiver and, less strictly, to the local clock: a record from far ahead
        would permanently close windows that have not happened yet. A trade refused because the local clock is wrong is
        missing by its id, so it is a hole, which can be fetched once the clock is right.
        """
        received_us = min(record.received_us, time.time_ns() // 1000 + WRONG_CLOCK_US - FUTURE_US)
        if isinstance(record, TradesRecord):
            self.aggregator.apply(record.trades, offset, received_us)
            if self.aggregator.begun:
                self._report_generations()
            if type(record) is UnorderedRecord:
                self.ledger.is_unordered = True
            self.unlisted = False
            # Nobody watches records that are read again, and keeping them costs a third of the speed.
            if self.is_read_up:
                self.tape.append(record)
                self.unlisted = False
            self._traded_at = time.monotonic()
        elif type(record) is Heartbeat:
            _check_time("a heartbeat at", record.closes_before_us, received_us)
            self.aggregator.heartbeat(record.closes_before_us)
            self._heartbeat_at, self._was_connected = time.monotonic(), record.is_connected
        elif type(record) is Quiet:
            _check_time("a quiet market until", record.until_us, received_us)
            self.aggregator.quiet(record.newest_id, record.until_us)
        elif type(record) is End:
            log.info("producer of the symbol ended", **self.key._asdict())

    def jump(self, expected: int, found: int) -> None:
        """Note that the topic continues at the offset `found` instead of `expected`.

        If `found` is higher, the records between have been deleted because of their age. If it is lower, the topic was
        deleted and created again.
        """
        self._report_lost(expected, found)
        if found < expected:
            self.beginnings += 1
            self._end_at_claim = 0

    def reject(self, offset: int, error: Exception) -> None:
        """Count and log the record at `offset`, which is rejected because of `error`."""
        metrics.SET_ASIDE.labels(*self.key).inc()
        self._rejected += 1
        if self._rejected > LOGGED_EACH and self._rejected % LOGGED_EACH:
            return  # a producer that sends nothing else must not fill the disk
        log.error("record rejected", **self.key._asdict(), topic=self.topic, offset=offset, error=str(error))

    def _report_generations(self) -> None:
        for begun in self.aggregator.begun:
            metrics.GENERATIONS.labels(*self.key).inc()
            log.warning("trade ids began again", **self.key._asdict(), **begun._asdict())
        self.aggregator.begun.clear()

    def _skip_lost(self, offsets: Offsets) -> None:
        """Move the position to the start of the topic if the record at the position was deleted.

        The trade ids of lost records are missing, so they become holes.
        """
        if not offsets.begin <= self.position <= offsets.end:
            self._report_lost(self.position, offsets.begin)
            self.position = offsets.begin

    def _report_lost(self, expected: int, found: int) -> None:
        metrics.LOST_RECORDS.labels(*self.key).inc(max(found - expected, 0))
        log.error(
            "topic has lost records, their trades are holes until filled",
            **self.key._asdict(),
            topic=self.topic,
            expected_offset=expected,
            found_offset=found,
        )


def _check_time(name: str, time_us: int, received_us: int) -> None:
    """Raise TradeError if a time is too far after the receipt of its record."""
    if time_us > min(received_us + FUTURE_US, LATEST_US):
        raise TradeError(
            f"{name} {time_us}, received at {received_us}: expected Unix µs, at most an hour after receipt; "
            f"is a clock wrong?"
        )
