"""Decode the messages of a poll, join their records and apply them to an owned symbol, in one pass."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from marketstream.codec import CodecError, Record, decode
from marketstream.market.errors import TradeError
from marketstream.processor.joined import joined
from marketstream.processor.symbol import OwnedSymbol


class Message(Protocol):
    """A message of a topic, as the consumer returns it."""

    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


class Batch:
    """Messages of a symbol's topic, in the order of the topic.

    Each step pulls from the one before it, so a record is applied while it is still in the CPU's cache.
    """

    def __init__(self, owned: OwnedSymbol, messages: Sequence[Message]) -> None:
        self._owned = owned
        self._messages = messages

    def apply(self) -> None:
        """Apply the messages to the symbol and advance its position past them.

        A message that cannot be decoded, or whose record cannot be true, is rejected: counted, logged and skipped.
        """
        owned = self._owned
        for offset, end, record in joined(self._decoded()):
            try:
                owned.apply(offset, record)
            except TradeError as error:
                if end == offset + 1:
                    owned.reject(offset, error)
                else:
                    self._apply_singly(offset, end)
        if self._messages:
            owned.position = self._messages[-1].offset + 1

    def _decoded(self) -> Iterator[tuple[int, Record]]:
        """Yield the records of this symbol, each with its offset."""
        owned = self._owned
        position, (exchange, symbol) = owned.position, owned.key
        for message in self._messages:
            offset = message.offset
            if offset != position:
                owned.jump(position, offset)
            position = offset + 1
            try:
                record = decode(message.value or b"")  # a message may have none
            except CodecError as error:
                owned.reject(offset, error)
                continue
            if record.symbol == symbol and record.exchange == exchange:
                yield offset, record
            else:
                owned.reject(offset, CodecError(f"a record of {record.exchange} {record.symbol} in {owned.topic}"))

    def _apply_singly(self, offset: int, end: int) -> None:
        """Apply the records at `offset` to `end` (exclusive) one by one, because joined they were refused."""
        for message in self._messages:
            if offset <= message.offset < end:
                try:
                    self._owned.apply(message.offset, decode(message.value or b""))
                except TradeError as error:
                    self._owned.reject(message.offset, error)
