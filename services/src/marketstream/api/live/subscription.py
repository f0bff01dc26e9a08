"""One symbol at one interval, and the clients that follow it."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from marketstream.api.live.messages import (
    CandleMessage,
    Freshness,
    LastPrice,
    PriceMessage,
    Snapshot,
    StateMessage,
    TradesMessage,
    frame,
)
from marketstream.market.window import Interval
from marketstream.postgres.reader import CandleRow
from marketstream.redis.frames import FrameTrade


class Follower(Protocol):
    """Receiver of the messages of a subscription."""

    def send(self, frames: bytes) -> None:
        """Send the frames, or skip them and request a snapshot later. Never raises."""


class Subscription:
    """Number the messages of one stream, omit unchanged content, and encode each message once for all followers."""

    def __init__(self, exchange: str, symbol: str, interval: Interval, epoch: str) -> None:
        self.exchange: Final = exchange
        self.symbol: Final = symbol
        self.interval: Final = interval
        self.followers: Final[set[Follower]] = set()
        self._snapshot: tuple[Any, bytes] | None = None
        self.restart(epoch)

    @property
    def key(self) -> tuple[str, str, str]:
        """Exchange, symbol and name of the interval."""
        return self.exchange, self.symbol, self.interval.name

    def restart(self, epoch: str) -> None:
        """Begin a new epoch. Everything sent before is void, and every follower needs a snapshot next."""
        self._epoch = epoch
        self._seq = 0
        self._begun = False
        self._sent: dict[type, Any] = {}

    def update(
        self,
        received_us: int | None,
        *,
        price: LastPrice | None,
        candle: CandleRow | None,
        trades: Sequence[FrameTrade] = (),
        freshness: Freshness,
    ) -> None:
        """Send the changes since the last call. The first call of an epoch sends nothing, as snapshots follow it."""
        if not self._begun:
            self._begun = True
            self._sent = {PriceMessage: price, CandleMessage: candle, StateMessage: freshness}
            return
        frames = []
        if price is not None and self._is_new(PriceMessage, price):
            frames.append(self._next(PriceMessage, received_us, price=price))
        if candle is not None and self._is_new(CandleMessage, candle):
            frames.append(self._next(CandleMessage, received_us, closed=False, candle=candle))
        if trades:
            frames.append(self._next(TradesMessage, received_us, trades=trades))
        if self._is_new(StateMessage, freshness):
            frames.append(self._next(StateMessage, received_us, freshness=freshness))
        self._send(frames)

    def correct(self, candles: Sequence[CandleRow]) -> None:
        """Send closed candles that are new or corrected."""
        self._send([self._next(CandleMessage, None, closed=True, candle=candle) for candle in candles])

    def snapshot(
        self,
        received_us: int | None,
        limit: int,
        *,
        candles: Sequence[CandleRow],
        candle: CandleRow | None,
        price: LastPrice | None,
        trades: Sequence[FrameTrade],
        freshness: Freshness,
    ) -> bytes:
        """Return a frame with the state that was last sent. It is reused until the state changes."""
        version = self._epoch, self._seq, limit
        if self._snapshot is None or self._snapshot[0] != version:
            newest = list(candles[-limit:]) if limit else []
            message = Snapshot(
                epoch=self._epoch, seq=self._seq, received_us=received_us, exchange=self.exchange, symbol=self.symbol,
                interval=self.interval.name, candles=newest, open=candle, price=price, trades=list(trades),
                freshness=freshness,
            )  # fmt: skip
            self._snapshot = version, frame(message)
        return self._snapshot[1]

    def _is_new(self, kind: type, value: Any) -> bool:
        if self._sent.get(kind) == value:
            return False
        self._sent[kind] = value
        return True

    def _next(self, kind: Any, received_us: int | None, **content: Any) -> bytes:
        self._seq += 1
        return frame(
            kind(
                epoch=self._epoch, seq=self._seq, received_us=received_us, exchange=self.exchange, symbol=self.symbol,
                interval=self.interval.name, **content,
            )
        )  # fmt: skip

    def _send(self, frames: Sequence[bytes]) -> None:
        if frames:
            together = b"".join(frames)  # one write for each client
            for follower in self.followers:
                follower.send(together)
