"""One symbol in the hands of its owner: what the records of its topic come to."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from marketstream.codec import CodecError, End, Heartbeat, Quiet, Record, TradesRecord, decode
from marketstream.kafka.consumer import Offsets
from marketstream.market.aggregator import Aggregator
from marketstream.market.errors import TradeError
from marketstream.market.ledger import Ledger
from marketstream.market.trade import FUTURE_US, LATEST_US
from marketstream.postgres.rows import StoredCandle
from marketstream.postgres.writer import Claim, Numbered, SymbolKey
from marketstream.processor import metrics
from marketstream.processor.joined import joined
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
        self._set_aside_count = 0
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

    def apply(self, messages: Sequence[Any]) -> None:
        """Applies the messages of its topic, each with `offset` and `value`.

        What cannot be decoded or cannot be true is set aside: counted, logged with its offset, and passed over.
        """
        for offset, end, record in joined(self._decoded(messages)):
            try:
                self._apply(offset, record)
            except TradeError as error:
                if end == offset + 1:
                    self._set_aside(offset, error)
                else:
                    self._apply_singly([message for message in messages if offset <= message.offset < end])
        if messages:
            self.position = messages[-1].offset + 1

    def _decoded(self, messages: Iterable[Any]) -> Iterator[tuple[int, Record]]:
        """What of the messages is new and can be decoded, each record with its offset."""
        position, (exchange, symbol) = self.position, self.key
        for message in messages:
            offset = message.offset
            if offset != position:
                self._miss(position, offset)
                if offset < position:
                    self.beginnings += 1
                    self._end_at_claim = 0
            position = offset + 1
            try:
                record = decode(message.value or b"")  # a message may have none
            except CodecError as error:
                self._set_aside(offset, error)
                continue
            if record.symbol == symbol and record.exchange == exchange:
                yield offset, record
            else:
                self._set_aside(offset, CodecError(f"a record of {record.exchange} {record.symbol} in {self.topic}"))

    def _apply_singly(self, messages: Iterable[Any]) -> None:
        """Applies records that cannot be true together, though some of them may be."""
        for message in messages:
            try:
                self._apply(message.offset, decode(message.value))
            except TradeError as error:
                self._set_aside(message.offset, error)

    def _apply(self, offset: int, record: Record) -> None:
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

    def _skip_lost(self, offsets: Offsets) -> None:
        """Where the topic has lost the record to go on from, reading goes on at its begin. What was lost is missing by
        its ids, so it is a hole."""
        if not offsets.begin <= self.position <= offsets.end:
            self._miss(self.position, offsets.begin)
            self.position = offsets.begin

    def _miss(self, expected: int, found: int) -> None:
        """The record expected next is gone: too old for the topic, or the topic was made anew and begins again."""
        metrics.LOST_RECORDS.labels(*self.key).inc(max(found - expected, 0))
        log.error(
            "the topic has lost records; what is missing of their trades are holes until they are filled",
            **self.key._asdict(),
            topic=self.topic,
            expected_offset=expected,
            found_offset=found,
        )

    def _set_aside(self, offset: int, error: Exception) -> None:
        metrics.SET_ASIDE.labels(*self.key).inc()
        self._set_aside_count += 1
        if self._set_aside_count > LOGGED_EACH and self._set_aside_count % LOGGED_EACH:
            return  # a producer that sends nothing else must not fill the disk
        log.error("record set aside", **self.key._asdict(), topic=self.topic, offset=offset, error=str(error))
