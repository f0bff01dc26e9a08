"""The contract of an exchange as a test, for every implementation."""

import contextlib

import pytest
from marketstream.exchanges.base import ClockAdvanced, Exchange, TradesReceived
from marketstream.exchanges.clock import now_us
from marketstream.exchanges.errors import UnknownSymbolError

MOST_EVENTS = 10_000
PAGE = 50


async def assert_keeps_the_contract(exchange: Exchange, symbol: str, unknown: str) -> None:
    """Assert that an exchange that lists `symbol`, but not `unknown`, does what base.py says; then close it.

    The symbol must have more than PAGE trades.
    """
    try:
        assert exchange.name == exchange.name.lower()
        await exchange.check([symbol])
        with pytest.raises(UnknownSymbolError) as raised:
            await exchange.check([symbol, unknown])
        assert unknown in str(raised.value)
        assert raised.value.symbols == (unknown,)
        await _assert_history_is_complete(exchange, symbol)
        await _assert_events_are_valid(exchange, symbol)
    finally:
        await exchange.close()


async def _assert_history_is_complete(exchange: Exchange, symbol: str) -> None:
    newest = await exchange.newest(symbol)
    assert newest is not None
    next_id = first_id = newest.id - PAGE
    times: list[int] = []
    while next_id <= newest.id:
        page = await exchange.history(symbol, next_id, newest.id)
        assert page is not None
        page.check(now_us())
        for trade in page:
            assert trade.id == next_id
            times.append(trade.time)
            next_id += trade.n
    assert next_id == newest.id + 1
    assert times == sorted(times)
    page = await exchange.history(symbol, first_id, first_id, after_us=times[0], before_us=newest.at_us)
    assert page is not None
    assert list(page.all_ids()) == [first_id]


async def _assert_events_are_valid(exchange: Exchange, symbol: str) -> None:
    received: list[int] = []
    clock_us = 0
    async with contextlib.aclosing(exchange.feed([symbol])) as feed:
        count = 0
        async for event in feed:
            count += 1
            if isinstance(event, TradesReceived):
                assert event.symbol == symbol
                event.trades.check(event.received_us)
                assert event.trades.times[0] >= clock_us
                received += event.trades.all_ids()
            elif isinstance(event, ClockAdvanced):
                assert event.symbol == symbol
                clock_us = max(clock_us, event.time_us)
            if len(received) > PAGE and clock_us:
                break
            assert count < MOST_EVENTS, f"{len(received)} trades in {count} events"
    assert received == sorted(received)
    assert len(received) > PAGE
