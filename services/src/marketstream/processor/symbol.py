"""One symbol in the hands of its owner: what the records of its topic come to."""

from collections.abc import Iterable
from typing import Any, Final

from marketstream.codec import CodecError, End, Heartbeat, TradesRecord, decode
from marketstream.market.aggregator import Aggregator
from marketstream.market.errors import TradeError
from marketstream.market.joined import joined
from marketstream.processor import metrics
from marketstream.settings import Settings
from marketstream.stores.writer import Claim, Key, Numbered
from marketstream.telemetry import logger

log = logger(__name__)


class OwnedSymbol:
    """A symbol that this processor has claimed, from the claim to the loss of it."""

    def __init__(self, key: Key, topic: str, claim: Claim, newest_row: Any, settings: Settings) -> None:
        self.key: Final = key
        self.topic: Final = topic
        self.fence: Final = claim.fence
        self.position = claim.progress.resume_offset
        """The offset after the last record applied."""
        self.newest_row = newest_row
        """The newest closed candle as stored, a row of candles_10s; None when there is none."""
        self.aggregator: Final = Aggregator(
            claim.progress,
            grace_us=settings.grace_ms * 1000,
            max_id_jump=settings.max_id_jump,
            max_holes=settings.max_holes,
        )
        self._commit_number = claim.commit_number
        self._stored_position = claim.progress.position

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

    def apply(self, messages: Iterable[Any]) -> None:
        """Applies the messages of its topic, each with `offset` and `value`.

        What cannot be decoded or cannot be true is set aside: counted, logged with its offset, and passed over.
        """
        position = self.position
        records: list[tuple[int, TradesRecord]] = []
        for message in messages:
            offset = message.offset
            if offset != position:
                if offset < position:
                    continue
                self._miss(position, offset)
            position = offset + 1
            try:
                record = decode(message.value)
            except CodecError as error:
                self._set_aside(offset, error)
                continue
            if type(record) is TradesRecord:
                records.append((offset, record))
                continue
            self._apply_trades(records)
            records.clear()
            if type(record) is Heartbeat:
                self.aggregator.heartbeat(record.closes_before_us)
            elif type(record) is End:
                log.info("the producer of this symbol has ended", **self.key._asdict())
        self._apply_trades(records)
        self.position = position

    def skip_lost(self, begin: int, end: int) -> None:
        """The topic holds the offsets `begin` to `end` (exclusive): when it has lost the one to go on from, reading
        goes on at its begin. What was lost is missing by its ids, so it is a hole."""
        if not begin <= self.position <= end:
            self._miss(self.position, begin)
            self.position = begin

    def _apply_trades(self, records: list[tuple[int, TradesRecord]]) -> None:
        """Applies records, each with its offset: those that go on from each other together."""
        own = [(offset, record) for offset, record in records if self._is_own(offset, record)]
        start = 0
        for size, trades in joined([record.trades for _, record in own]):
            group = own[start : start + size]
            start += size
            offset = group[0][0]
            try:
                self.aggregator.apply(trades, offset, min([record.received_us for _, record in group]))
            except TradeError as error:
                if size == 1:
                    self._set_aside(offset, error)
                else:
                    self._apply_singly(group)

    def _apply_singly(self, records: list[tuple[int, TradesRecord]]) -> None:
        for offset, record in records:
            try:
                self.aggregator.apply(record.trades, offset, record.received_us)
            except TradeError as error:
                self._set_aside(offset, error)

    def _is_own(self, offset: int, record: TradesRecord) -> bool:
        exchange, symbol = self.key
        if record.symbol == symbol and record.exchange == exchange:
            return True
        error = CodecError(f"trades of {record.exchange} {record.symbol} in {self.topic}")
        self._set_aside(offset, error)
        return False

    def _miss(self, expected: int, found: int) -> None:
        metrics.LOST_RECORDS.labels(*self.key).inc(max(found - expected, 0))
        log.error(
            "the topic has lost records; their trades are holes until they are filled",
            **self.key._asdict(),
            topic=self.topic,
            expected_offset=expected,
            found_offset=found,
        )

    def _set_aside(self, offset: int, error: Exception) -> None:
        metrics.SET_ASIDE.labels(*self.key).inc()
        log.error("record set aside", **self.key._asdict(), topic=self.topic, offset=offset, error=str(error))
