"""Strategies of hypothesis for trades."""

from hypothesis import strategies as st
from marketstream.market.number import MAX_SCALE, MAX_VALUE
from marketstream.market.trade import EARLIEST_US, Trade, Trades

TIMES = st.integers(EARLIEST_US, 1_790_000_000_000_000)
SCALES = st.integers(0, MAX_SCALE)
TRADE = st.builds(
    Trade,
    id=st.integers(0, 2**53),
    n=st.just(1) | st.integers(1, 1000),
    time=TIMES,
    price=st.integers(1, MAX_VALUE),
    quantity=st.integers(0, MAX_VALUE),
    taker_buy=st.booleans(),
)
TRADES = st.builds(Trades.of, st.lists(TRADE, min_size=1, max_size=20), SCALES, SCALES)
