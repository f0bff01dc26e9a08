"""One symbol in the hands of its owner: what the records of its topic come to."""

import time
from collections import deque
from typing import Final

from marketstream.codec import End, Heartbeat, Quiet, Record, TradesRecord
from marketstream.kafka.consumer import Offsets
from marketstream.market.aggregator import Aggregator
from marketstream.market.errors import TradeError
from marketstream.market.ledger import Ledger
from marketstream.market.trade import FUTURE_US, LATEST_US
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, Numbered, SymbolKey
from marketstream.processor import metrics
from marketstream.settings import Settings
from marketstream.telemetry import logger

log = logger(__name__)

TAPE_RECORDS: Final = 50
"""Records kept for those who watch; a frame shows no more trades than that."""

LOGGED_EACH: Final = 100
"""Records set aside that are logged one by one; beyond it, one of as many."""


class OwnedSymbol:
    """A symbol that this processor has claimed, from the claim to the loss of it."""

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
        """The newest closed candle as it is stored; None when there is none."""
        self.aggregator: Final = Aggregator(
            claim.progress,
            grace_us=settings.grace_ms * 1000,
            max_id_jump=settings.max_id_jump,
            max_holes=settings.max_holes,
        )
        self.tape: Final[deque[TradesRecord]] = deque(maxlen=TAPE_RECORDS)
        """The newest records applied, for those who watch; whoever shows them empties it."""
        self.changed: set[int] = set()
        """The starts (Unix seconds) of windows whose stored candles have changed, in the same way."""
        self.backfilling = False
        """Whether its trades are being fetched from the exchange's history now."""
        self.is_first_start: Final = not claim.progress.counted
        """Whether nothing of the symbol was stored before it was claimed."""
        self._commit_number = claim.commit_number
        self._stored_position = claim.progress.position
        self._rejected = 0
        self._end_at_claim = offsets.end
        self.beginnings = 0
        """How often the topic has begun again since the claim."""
        self._traded_at = time.monotonic()
        self._skip_lost(offsets)

    @property
    def symbol(self) -> str:
        """Its name at the exchange."""
        return self.key.symbol

    @property
    def ledger(self) -> Ledger:
        """The account of its trade ids."""
        return self.aggregator.ledger

    @property
    def is_read_up(self) -> bool:
        """Whether all that the topic held at the claim has been applied."""
        return self.position >= self._end_at_claim

    @property
    def quiet_for_s(self) -> float:
        """Seconds since the last trade was applied, by the local clock."""
        return time.monotonic() - self._traded_at

    @property
    def is_due(self) -> bool:
        """Whether candles or verdicts wait for a commit."""
        return self.aggregator.is_due

    @property
    def has_moved(self) -> bool:
        """Whether records were applied since the last commit."""
        return self.position != self._stored_position

    def take(self) -> Numbered:
        """What to store next. It must be stored before the one that the next call returns."""
        commit = self.aggregator.take(self.position)
        self._commit_number += 1
        self._stored_position = self.position
        return Numbered(self.fence, self._commit_number, commit)

    def apply(self, offset: int, record: Record) -> None:
        """Apply the record at `offset`. Raise TradeError if it cannot be true; nothing of it is applied then."""
        if type(record) is TradesRecord:
            self.aggregator.apply(record.trades, offset, record.received_us)
            if self.is_read_up:  # nobody watches what is read again, and to keep it costs a third of the speed
                self.tape.append(record)
            self._traded_at = time.monotonic()
        elif type(record) is Heartbeat:
            # Too late a clock would close windows that have not happened, and for good.
            heard_us = min(record.received_us, time.time_ns() // 1000)
            if record.closes_before_us > min(heard_us + FUTURE_US, LATEST_US):
                raise TradeError(
                    f"a heartbeat at {record.closes_before_us}, received at {record.received_us}: expected µs"
                )
            self.aggregator.heartbeat(record.closes_before_us)
        elif type(record) is Quiet:
            if record.until_us > min(record.received_us + FUTURE_US, LATEST_US):
                raise TradeError(f"a quiet market until {record.until_us}, received at {record.received_us}")
            self.aggregator.quiet(record.newest_id, record.until_us)
        elif type(record) is End:
            log.info("the producer of this symbol has ended", **self.key._asdict())

    def jump(self, expected: int, found: int) -> None:
        """The topic goes on at the offset `found` instead of `expected`: the records between were too old for it, or,
        where `found` is lower, it was made anew and begins again."""
        self._report_lost(expected, found)
        if found < expected:
            self.beginnings += 1
            self._end_at_claim = 0

    def reject(self, offset: int, error: Exception) -> None:
        """Count and log the record at `offset`, which is skipped."""
        metrics.SET_ASIDE.labels(*self.key).inc()
        self._rejected += 1
        if self._rejected > LOGGED_EACH and self._rejected % LOGGED_EACH:
            return  # a producer that sends nothing else must not fill the disk
        log.error("record set aside", **self.key._asdict(), topic=self.topic, offset=offset, error=str(error))

    def _skip_lost(self, offsets: Offsets) -> None:
        """Where the topic has lost the record to go on from, reading goes on at its begin. What was lost is missing by
        its ids, so it is a hole."""
        if not offsets.begin <= self.position <= offsets.end:
            self._report_lost(self.position, offsets.begin)
            self.position = offsets.begin

    def _report_lost(self, expected: int, found: int) -> None:
        metrics.LOST_RECORDS.labels(*self.key).inc(max(found - expected, 0))
        log.error(
            "the topic has lost records; what is missing of their trades are holes until they are filled",
            **self.key._asdict(),
            topic=self.topic,
            expected_offset=expected,
            found_offset=found,
        )
