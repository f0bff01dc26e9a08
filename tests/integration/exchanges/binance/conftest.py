"""A fake Binance for the tests of this package."""

from collections.abc import AsyncIterator

import pytest

from tests.harness.binance.server import BinanceServer
from tests.integration.exchanges.binance.symbols import SYMBOLS


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    """Yield a fake Binance with busy symbols."""
    async with BinanceServer.from_generator(SYMBOLS, trades_per_second=100, past_s=5) as started:
        yield started
