"""Pages of a history on their way into a topic; in virtual time."""

import asyncio
from typing import cast

import pytest
from marketstream.backfill.pages import APPLIED_LIMIT_S, RECORD_TRADES, NotCountedError, Pages
from marketstream.codec import TradesRecord, decode
from marketstream.kafka.publisher import Publisher
from marketstream.market.trade import Trade, Trades

from tests.harness.scenarios import PRICE_SCALE, QUANTITY_SCALE
from tests.unit.backfill.world import FIRST, Topics, known, trade
from tests.unit.processor.owners import counted
from tests.unit.virtual import VirtualClock, virtually


class Noting(Topics):
    """Counts the records and keeps them."""

    def __init__(self, *owned: object) -> None:
        super().__init__(*owned)  # type: ignore[arg-type]
        self.records: list[TradesRecord] = []

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":
        record = decode(value)
        assert isinstance(record, TradesRecord)
        self.records.append(record)
        return await super().send(topic, value)


def page_of(*trades: Trade) -> Trades:
    return Trades.of(trades, PRICE_SCALE, QUANTITY_SCALE)


def pages_to(topics: Topics) -> Pages:
    return Pages(FIRST.exchange, cast("Publisher", topics))


@virtually
async def test_a_long_page_is_published_in_several_records_and_counted() -> None:
    owned = known()
    topics = Noting(owned)
    trades = [trade(number, number / 1000) for number in range(1, 2 * RECORD_TRADES + 2)]
    assert await pages_to(topics).publish(owned, page_of(*trades), 0) == 1
    assert [len(record.trades) for record in topics.records] == [RECORD_TRADES, RECORD_TRADES, 1]
    assert counted(owned) == [(0, 2 * RECORD_TRADES + 1)]


@virtually
async def test_only_trades_from_a_time_on_that_can_be_true_are_published() -> None:
    owned = known()
    topics = Noting(owned)
    trades = [trade(1), trade(2), trade(3, 1e9), trade(4)]
    assert await pages_to(topics).publish(owned, page_of(*trades), 0, since_us=trade(2).time) == 2
    assert counted(owned) == [(0, 0), (2, 2), (4, 4)]


@virtually
async def test_a_page_of_which_nothing_is_left_publishes_nothing() -> None:
    owned = known()
    topics = Noting(owned)
    assert await pages_to(topics).publish(owned, page_of(trade(1)), 0, since_us=trade(2).time) is None
    assert topics.records == []


class Silent(Topics):
    """Kafka answers `says` to a record that nobody reads; None: it does not answer."""

    def __init__(self, says: bool | None, *owned: object) -> None:
        super().__init__(*owned)  # type: ignore[arg-type]
        self._says = says

    async def send(self, topic: str, value: bytes) -> "asyncio.Future[bool]":  # noqa: ARG002
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._says is not None:
            answer.set_result(self._says)
        return answer


@virtually
async def test_trades_that_are_not_counted_in_time_are_an_error() -> None:
    owned = known()
    with pytest.raises(NotCountedError, match="2 trades of FIRST, starting at id 1, were not counted within 10 s"):
        await pages_to(Silent(True, owned)).publish(owned, page_of(trade(1), trade(2)), 0)
    assert VirtualClock.monotonic() == pytest.approx(APPLIED_LIMIT_S, abs=0.1)


@virtually
async def test_a_topic_that_kafka_does_not_answer_for_delays_others_by_a_limit() -> None:
    owned = known()
    with pytest.raises(NotCountedError, match="Kafka does not accept the records of FIRST"):
        await pages_to(Silent(None, owned)).publish(owned, page_of(trade(1)), 0)
    assert VirtualClock.monotonic() == pytest.approx(APPLIED_LIMIT_S, abs=0.1)


@virtually
async def test_a_record_that_kafka_refuses_is_an_error_at_once() -> None:
    owned = known()
    with pytest.raises(NotCountedError, match="Kafka does not accept the records of FIRST"):
        await pages_to(Silent(False, owned)).publish(owned, page_of(trade(1)), 0)
    assert VirtualClock.monotonic() == pytest.approx(0, abs=0.1)
