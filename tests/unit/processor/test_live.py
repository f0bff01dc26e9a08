"""The published price is that of the newest trade, however late it arrives."""

from decimal import Decimal
from typing import Any

from marketstream.market.counted import Run
from marketstream.market.progress import Progress
from marketstream.market.window import WINDOW_S, WINDOW_US
from marketstream.postgres.rows import StoredCandle
from marketstream.processor.live import live_state
from marketstream.processor.symbol import OwnedSymbol

from tests.harness.scenarios import EPOCH
from tests.unit.processor.owners import KEY, apply, at, heartbeat, owner, record, us


def shown(owned: OwnedSymbol) -> tuple[str | None, str | None]:
    state = live_state(owned, lag=0, now_s="1", max_age_s=60)
    return state.price, state.price_id


def closed(*, is_stored: bool) -> OwnedSymbol:
    """Return a symbol with three trades whose windows a heartbeat has closed."""
    owned = owner()
    apply(owned, record(at(1, 0.5, 101), at(2, 1.5, 102), at(3, 1.6, 103)), heartbeat(5))
    if is_stored:
        owned.take()
    assert shown(owned) == ("1.03", "3")
    return owned


def test_a_late_trade_that_is_the_newest_is_the_price() -> None:
    for is_stored in (False, True):
        owned = closed(is_stored=is_stored)
        apply(owned, record(at(4, 1.7, 104)))
        assert shown(owned) == ("1.04", "4")
        apply(owned, record(at(5, 2.2, 105)))
        assert shown(owned) == ("1.05", "5"), "in a window that had none"
        owned.take()
        assert shown(owned) == ("1.05", "5")


def test_a_late_trade_that_is_not_the_newest_leaves_the_price_alone() -> None:
    for is_stored in (False, True):
        owned = closed(is_stored=is_stored)
        apply(owned, record(at(4, 1.55, 104)), record(at(5, 0.7, 105)))
        assert shown(owned) == ("1.03", "3")


def newest_stored(reason: str) -> StoredCandle:
    """Return a stored candle of trade 9 alone, which is not complete for this reason."""
    row: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), Decimal("1.09"))
    row |= dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), Decimal(1))
    row |= {"exchange": KEY.exchange, "symbol": KEY.symbol, "window_start": us(3) // WINDOW_US * WINDOW_S}
    row |= {"trade_count": 1, "first_trade_id": 9, "last_trade_id": 9, "complete": False, "revision": 0}
    row |= {"incomplete_reason": reason, "close_id": 9, "close_time": us(3.5)}
    return StoredCandle.of(row)


def test_a_hole_filled_after_a_restart_leaves_the_price_alone() -> None:
    """The newest trade is that of the stored candle: nothing newer was read since the claim."""
    runs = (Run(1, 1, us(0.5), us(0.5)), Run(9, 9, us(3.5), us(3.5)))
    owned = owner(
        progress=Progress(closed_until=EPOCH // WINDOW_US + 5, counted=runs), newest_closed=newest_stored("hole")
    )
    assert shown(owned) == ("1.09", "9")
    apply(owned, record(at(2, 1.5, 102)))
    assert shown(owned) == ("1.09", "9")


def test_a_symbol_without_order_proves_nothing_after_a_restart_either() -> None:
    """Its records are stored, so none of them is read again to say so."""
    progress = Progress(closed_until=EPOCH // WINDOW_US + 5, counted=(Run(1, 9, us(0.5), us(3.5)),))
    assert owner(progress=progress).ledger.complete() is not None
    assert owner(progress=progress, newest_closed=newest_stored("unordered_ids")).ledger.complete() is None
