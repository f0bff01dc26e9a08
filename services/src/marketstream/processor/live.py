"""The live state of a symbol, as fields in Redis and as a frame of the changes since the last frame."""

from decimal import Decimal
from itertools import islice
from typing import Final

from marketstream.market.candle import HOLE, UNCONFIRMED, Candle
from marketstream.market.number import decimal_text, to_text
from marketstream.market.window import start_s
from marketstream.postgres.rows import StoredCandle
from marketstream.processor.symbol import OwnedSymbol
from marketstream.redis.frames import MOST_TRADES, Frame, FramePrice, FrameTrade
from marketstream.redis.writer import LiveState


def seconds(time_us: int) -> str:
    """Return Unix µs as Unix seconds in text, without loss of digits: "1610064046.355"."""
    return to_text(time_us, 6)


def live_state(owned: OwnedSymbol, *, lag: int, now_s: str, max_age_s: int) -> LiveState:
    """Return the live state of a symbol.

    `lag` is the number of records in its topic that are not applied yet, and `now_s` is the local time in Unix seconds,
    as text. Readers call the symbol stale after `max_age_s` seconds without a sign of life from its feed.
    """
    status = _status(owned, lag) | {"max_age": str(max_age_s), "updated_at": now_s}
    newest = _newest_trade(owned)
    if newest is None:
        return LiveState(status=status)
    price_us, price_id, price = newest
    closed = owned.newest_closed
    return LiveState(
        status=status | {"last_trade_time": seconds(price_us), "last_trade_id": str(price_id)},
        price=price,
        price_id=str(price_id),
        price_time=seconds(price_us),
        current=_current(owned, price, price_id),
        last=closed_fields(closed, owned.fence) if closed is not None else None,
    )


def _newest_trade(owned: OwnedSymbol) -> tuple[int, int, str] | None:
    """Return time (Unix µs), id and price of the newest trade by time and id, or None.

    This owner has applied the trade, or an earlier owner has stored it. The order of arrival does not matter.
    """
    candle, closed = owned.aggregator.newest(), owned.newest_closed
    known = []
    if candle is not None:
        known.append((candle.close_time, candle.close_id, to_text(candle.close, candle.price_scale)))
    if closed is not None:
        known.append((closed.close_time, closed.close_id, decimal_text(closed.close)))
    return max(known, default=None)


def take_frame(owned: OwnedSymbol, state: LiveState) -> Frame:
    """Return the frame of a live state, with the trades applied and the windows stored since the last call."""
    received_us = max((record.received_us for record in owned.tape), default=None)
    trades = [
        FrameTrade(
            trade.id,
            trade.time,
            to_text(trade.price, record.trades.price_scale),
            to_text(trade.quantity, record.trades.quantity_scale),
            trade.taker_buy,
        )
        for record in owned.tape
        for trade in islice(record.trades, max(0, len(record.trades) - MOST_TRADES), None)
    ]
    frame = Frame(
        owned.key.exchange,
        owned.key.symbol,
        received_us=received_us,
        price=FramePrice(state.price, state.price_time, int(state.price_id))
        if state.price and state.price_time and state.price_id
        else None,
        candle=state.current,
        changed=sorted(owned.changed),
        trades=trades[-MOST_TRADES:],
        status=state.status,
    )
    owned.tape.clear()
    owned.changed.clear()
    return frame


def _status(owned: OwnedSymbol, lag: int) -> dict[str, str]:
    ledger = owned.aggregator.ledger
    complete = ledger.complete()
    heard_until_us = owned.heard_until_us
    return {
        "complete_from": "" if complete is None else str(start_s(complete[0])),
        "complete_until": "" if complete is None else str(start_s(complete[1])),
        "heard_until": "" if heard_until_us is None else seconds(heard_until_us),
        "lag": str(lag),
        "open_holes": str(len(ledger.holes())),
        "backfilling": str(int(owned.backfilling)),
        "unlisted": str(int(owned.unlisted)),
        "connected": str(int(owned.is_connected)),
    }


def _current(owned: OwnedSymbol, price: str, price_id: int) -> dict[str, str] | None:
    """Return the fields of the newest open window that has trades, or None before any window was closed.

    If no open window has trades, the candle is that of the first window not closed yet, flat at the last price. Both
    follow from the log alone, so a new owner never shows less than the previous owner.
    """
    candle = owned.aggregator.open_candle()
    if candle is not None:
        return open_candle_fields(candle, owned)
    window = owned.ledger.closed_until
    if not window:
        return None
    return _fields(
        owned, window, (price, price, price, price), ("0", "0", "0"), (0, price_id + 1, price_id), UNCONFIRMED
    )


def open_candle_fields(candle: Candle, owned: OwnedSymbol) -> dict[str, str]:
    """Return the fields of an open candle. It is never complete, because its last trade is not known yet."""
    price_scale, quantity_scale = candle.price_scale, candle.quantity_scale
    reason = owned.aggregator.ledger.reason(candle.window, candle.first_id, candle.last_id)
    return _fields(
        owned,
        candle.window,
        tuple(to_text(price, price_scale) for price in (candle.open, candle.high, candle.low, candle.close)),
        (
            to_text(candle.volume, quantity_scale),
            to_text(candle.quote_volume, price_scale + quantity_scale),
            to_text(candle.taker_buy_volume, quantity_scale),
        ),
        (candle.trade_count, candle.first_id, candle.last_id),
        HOLE if reason == HOLE else UNCONFIRMED,
    )


def _fields(
    owned: OwnedSymbol,
    window: int,
    prices: tuple[str, ...],
    volumes: tuple[str, ...],
    counts: tuple[int, int, int],
    reason: str,
) -> dict[str, str]:
    names = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
    return {
        "exchange": owned.key.exchange,
        "symbol": owned.key.symbol,
        "interval": "10s",
        "window_start": str(start_s(window)),
        **dict(zip(names, (*prices, *volumes), strict=True)),
        **dict(zip(("trade_count", "first_trade_id", "last_trade_id"), map(str, counts), strict=True)),
        "complete": "false",
        "incomplete_reason": reason,
        "revision": "0",
        "fence": str(owned.fence),
    }


_SHOWN: Final = tuple(name for name in StoredCandle._fields if name not in ("close_time", "close_id"))


def closed_fields(candle: StoredCandle, fence: int) -> dict[str, str]:
    """Return a stored candle as fields of a hash."""
    return {"interval": "10s", "fence": str(fence)} | {name: _text(getattr(candle, name)) for name in _SHOWN}


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return decimal_text(value)
        case _:
            return str(value)
