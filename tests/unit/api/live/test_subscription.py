"""Messages of one subscription: numbered, without repetitions, the same bytes for all followers."""

from typing import Any

import msgspec
import pytest
from marketstream.api.live.messages import Freshness, LastPrice
from marketstream.api.live.subscription import Subscription
from marketstream.market.window import INTERVALS
from marketstream.redis.frames import FrameTrade

from tests.unit.api.live.rungs import START, closed

LIVE = Freshness("live", None, None, None, 0)
STALE = Freshness("stale", None, None, None, 0)
PRICE = LastPrice("1", 1.5, 7)
CANDLE = closed(START)
TRADE = FrameTrade(8, 1_500_000, "1", "2", taker_buy=True)


class Follower:
    """The messages that a client was sent; `writes` has their bytes."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.writes: list[bytes] = []

    def send(self, frames: bytes) -> None:
        self.writes.append(frames)
        while frames:
            size, begin = (frames[1], 2) if frames[1] < 126 else (int.from_bytes(frames[2:4]), 4)
            self.messages.append(msgspec.json.decode(frames[begin : begin + size]))
            frames = frames[begin + size :]


@pytest.fixture
def follower() -> Follower:
    return Follower()


@pytest.fixture
def subscription(follower: Follower) -> Subscription:
    """A subscription whose follower has a snapshot."""
    made = Subscription("binance", "BTCUSDT", INTERVALS["10s"], "epoch")
    made.followers.add(follower)
    made.update(1, price=PRICE, candle=CANDLE, freshness=LIVE)
    assert follower.messages == []
    return made


def test_messages_have_consecutive_numbers_and_only_changes(subscription: Subscription, follower: Follower) -> None:
    subscription.update(2, price=PRICE, candle=CANDLE, freshness=LIVE)
    subscription.update(3, price=LastPrice("2", 2.5, 8), candle=CANDLE, trades=[TRADE], freshness=LIVE)
    subscription.update(4, price=None, candle=None, freshness=STALE)
    subscription.correct([CANDLE])
    assert [(message["type"], message["seq"], message["received_us"]) for message in follower.messages] == [
        ("price", 1, 3),
        ("trades", 2, 3),
        ("state", 3, 4),
        ("candle", 4, None),
    ]
    assert {message["epoch"] for message in follower.messages} == {"epoch"}
    assert follower.messages[3]["closed"] is True


def test_changes_of_one_update_are_one_write_for_every_follower(subscription: Subscription, follower: Follower) -> None:
    other = Follower()
    subscription.followers.add(other)
    subscription.update(2, price=LastPrice("2", 2.5, 8), candle=closed(START, "2"), freshness=STALE)
    assert len(follower.writes) == 1
    assert follower.writes == other.writes
    assert [message["type"] for message in follower.messages] == ["price", "candle", "state"]


def snapshot(subscription: Subscription, limit: int = 300) -> dict[str, Any]:
    reader = Follower()
    reader.send(
        subscription.snapshot(
            5, limit, candles=[CANDLE, closed(START + 10)], candle=None, price=PRICE, trades=[TRADE], freshness=LIVE
        )
    )
    return reader.messages[0]


def test_a_snapshot_has_the_number_of_the_last_message(subscription: Subscription) -> None:
    assert snapshot(subscription)["seq"] == 0
    subscription.update(2, price=LastPrice("2", 2.5, 8), candle=None, freshness=LIVE)
    assert snapshot(subscription)["seq"] == 1


@pytest.mark.parametrize(("limit", "starts"), [(0, []), (1, [START + 10]), (300, [START, START + 10])])
def test_a_snapshot_has_the_newest_candles(subscription: Subscription, limit: int, starts: list[int]) -> None:
    assert [candle["window_start"] for candle in snapshot(subscription, limit)["candles"]] == starts


def test_a_restart_begins_a_new_epoch_without_a_message(subscription: Subscription, follower: Follower) -> None:
    subscription.restart("next")
    subscription.update(2, price=LastPrice("2", 2.5, 8), candle=None, freshness=LIVE)
    assert follower.messages == []
    assert (snapshot(subscription)["epoch"], snapshot(subscription)["seq"]) == ("next", 0)
    subscription.update(3, price=LastPrice("3", 3.5, 9), candle=None, freshness=LIVE)
    assert [(message["epoch"], message["seq"]) for message in follower.messages] == [("next", 1)]
