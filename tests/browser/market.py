"""A generated market for the tests of /ws and of the page.

It writes rows into PostgreSQL, and hashes and frames into Redis, like a processor, at any rate of trades.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
from marketstream.market.window import INTERVALS, WINDOW_S
from marketstream.postgres.connect import close_pool, lazy_pool
from marketstream.postgres.migrate import migrate
from marketstream.postgres.statements import ROLL_UP
from marketstream.redis.frames import MOST_TRADES, Frame, FramePrice, FrameTrade, channel_of, encode
from marketstream.redis.keys import Keys
from marketstream.settings import Settings
from redis.asyncio import Redis

from tests.harness.rows import add_candles, add_symbol

PUBLISH_S: Final = 0.02

PROVEN_S: Final = 600
"""Seconds of the stretch that is proven complete."""

PRICES: Final = {"BTCUSDT": 6_432_480, "ETHUSDT": 318_455, "SOLUSDT": 15_210}
"""Initial price of each symbol, in cents."""


class Book:
    """One symbol with its price and its open candle."""

    def __init__(self, exchange: str, symbol: str, rng: random.Random) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.price = PRICES.get(symbol, 100_000)
        self.next_id = 1
        self._rng = rng
        self._step = max(1, self.price // 60_000)
        self.candle: dict[str, Any] = {}

    def open(self, window_start: int) -> None:
        """Open a window with a flat candle without trades."""
        price = Decimal(self.price) / 100
        self.candle = {
            "exchange": self.exchange, "symbol": self.symbol, "window_start": window_start,
            "open": price, "high": price, "low": price, "close": price,
            "volume": Decimal(0), "quote_volume": Decimal(0), "taker_buy_volume": Decimal(0),
            "open_time": window_start * 1_000_000, "close_time": window_start * 1_000_000,
            "open_id": self.next_id, "close_id": self.next_id, "trade_count": 0,
            "first_trade_id": self.next_id, "last_trade_id": self.next_id - 1,
            "complete": True, "incomplete_reason": None, "revision": 0,
        }  # fmt: skip

    def trade(self, time_us: int) -> FrameTrade:
        """Return the next trade, which is added to the candle."""
        self.price = max(1, self.price + self._rng.randint(-self._step, self._step))
        taker_buy = self._rng.random() < 0.5
        price, quantity = Decimal(self.price) / 100, Decimal(self._rng.randint(1, 50_000)) / 100_000
        candle, trade_id = self.candle, self.next_id
        if not candle["trade_count"]:
            candle |= {"open": price, "high": price, "low": price, "open_time": time_us, "open_id": trade_id}
        candle["high"], candle["low"] = max(candle["high"], price), min(candle["low"], price)
        candle |= {"close": price, "close_time": time_us, "close_id": trade_id, "last_trade_id": trade_id}
        candle["volume"] += quantity
        candle["quote_volume"] += price * quantity
        candle["taker_buy_volume"] += quantity if taker_buy else 0
        candle["trade_count"] += 1
        self.next_id += 1
        return FrameTrade(trade_id, time_us, plain(price), plain(quantity), taker_buy)

    def fields(self) -> dict[str, str]:
        """Return the open candle as a hash in Redis."""
        names = ("open_time", "open_id", "close_time", "close_id")
        return {name: plain(value) for name, value in self.candle.items() if name not in names} | {
            "interval": "10s", "complete": "false", "incomplete_reason": "unconfirmed", "fence": "1",
        }  # fmt: skip


class Market:
    """Symbols of one exchange, over the stores of `settings`."""

    def __init__(
        self, settings: Settings, symbols: Sequence[str] = tuple(PRICES), exchange: str = "binance", seed: int = 1
    ) -> None:
        self._settings = settings
        rng = random.Random(seed)
        self.exchange = exchange
        self.books = {symbol: Book(exchange, symbol, rng) for symbol in symbols}
        self._changed: dict[str, list[int]] = {symbol: [] for symbol in symbols}
        self._left_out: dict[str, list[dict[str, Any]]] = {symbol: [] for symbol in symbols}
        self._storing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        pool = await lazy_pool(self._settings, size=1)
        await migrate(pool)
        await close_pool(pool)
        self.postgres = await asyncpg.connect(self._settings.database_url)
        self.redis = Redis.from_url(self._settings.redis_url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.postgres.close()
        await self.redis.aclose()

    async def fill(
        self, windows: int, *, until: int | None = None, skip: Iterable[int] = (), per_window: int = 24
    ) -> int:
        """Store closed candles of this many windows before the one that is open at `until` (Unix seconds; default now).

        Windows whose numbers are in `skip` are left out. Returns the start of the open window.
        """
        now = WINDOW_S * int((until or time.time()) // WINDOW_S)
        for book in self.books.values():
            rows = []
            for start in range(now - windows * WINDOW_S, now, WINDOW_S):
                book.open(start)
                for n in range(per_window):
                    book.trade(start * 1_000_000 + n * (9_900_000 // per_window))
                rows.append(book.candle)
            left_out = {now - windows * WINDOW_S + number * WINDOW_S for number in skip}
            await self._store(book, [row for row in rows if row["window_start"] not in left_out], now)
            self._left_out[book.symbol] = [row for row in rows if row["window_start"] in left_out]
            book.open(now)
        return now

    async def fill_gap(self, symbol: str, count: int) -> None:
        """Store the first candles that `fill` has left out, and publish a frame, like after a backfill."""
        left_out, book = self._left_out[symbol], self.books[symbol]
        rows, self._left_out[symbol] = left_out[:count], left_out[count:]
        await self._store(book, rows, book.candle["window_start"])
        await self.publish(symbol, changed=[row["window_start"] for row in rows])

    async def trade(self, symbol: str) -> None:
        """Trade once now, in the open window, however long ago it has ended."""
        await self.publish(symbol, trades=[self.books[symbol].trade(time.time_ns() // 1000)])

    async def change(self, symbol: str, window_start: int, *, tell: bool = True, **columns: Any) -> None:
        """Change a stored candle, like a commit of late trades or of a verdict, and publish a frame."""
        sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 4))
        async with self._storing, self.postgres.transaction():
            await self.postgres.execute(
                f"UPDATE candles_10s SET revision = revision + 1, {sets} "
                "WHERE exchange = $1 AND symbol = $2 AND window_start = $3",
                self.exchange, symbol, window_start, *columns.values(),
            )  # fmt: skip
            await self._roll_up(symbol, [window_start])
        if tell:
            await self.publish(symbol, changed=[window_start])

    @contextlib.asynccontextmanager
    async def trading(self, rate: float, *, close: bool = True, limit_s: float = 100) -> AsyncIterator[None]:
        """Trade each symbol at `rate` a second inside the block, which may take `limit_s` seconds."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(rate, stop, close=close))
        try:
            async with asyncio.timeout(limit_s):
                yield
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await task

    async def _run(self, rate: float, stop: asyncio.Event, *, close: bool) -> None:
        """Trade until `stop`, and store each window a second after its end."""
        due, begun, closing = 0.0, time.monotonic(), set[asyncio.Task[None]]()
        while not stop.is_set():
            await asyncio.sleep(PUBLISH_S)
            now_us = time.time_ns() // 1000
            start = WINDOW_S * (now_us // (WINDOW_S * 1_000_000))
            due = rate * (time.monotonic() - begun) if not due else due + rate * PUBLISH_S
            count, due = int(due), due - int(due)
            for book in self.books.values():
                if book.candle["window_start"] != start:
                    closed = book.candle
                    book.open(start)
                    if close:
                        task = asyncio.create_task(self._close(book, closed))
                        closing.add(task)
                        task.add_done_callback(closing.discard)
                trades = [book.trade(now_us) for _ in range(min(count, 1000))]
                await self.publish(book.symbol, trades=trades)
        await asyncio.gather(*closing)

    async def publish(
        self, symbol: str, *, trades: Sequence[FrameTrade] = (), changed: Sequence[int] = (), **status: str
    ) -> None:
        """Write the live state of a symbol and publish its frame. `status` replaces fields of the live status."""
        book = self.books[symbol]
        now = f"{time.time():.6f}"
        fields = book.fields()
        price = FramePrice(plain(book.candle["close"]), now, book.next_id - 1)
        fresh = {
            "last_trade_time": now, "last_trade_id": str(price.id), "heard_until": now, "open_holes": "0",
            "complete_from": str(book.candle["window_start"] - PROVEN_S),
            "complete_until": str(book.candle["window_start"]), "lag": "0", "backfilling": "0", "updated_at": now,
        } | status  # fmt: skip
        told = [*self._changed[symbol], *changed]
        self._changed[symbol].clear()
        frame = Frame(
            exchange=self.exchange, symbol=symbol, received_us=time.time_ns() // 1000, price=price, candle=fields,
            changed=told, trades=list(trades[-MOST_TRADES:]), status=fresh,
        )  # fmt: skip
        keys = Keys.of(self.exchange, symbol)
        priced = {"price": price.price, "price_id": str(price.id), "price_time": price.time, "fence": "1"}
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.set(keys.price, price.price)
        pipeline.hset(keys.current_candle, mapping=fields)
        pipeline.hset(keys.status, mapping=fresh | priced)
        pipeline.publish(channel_of(self.redis), encode(frame))
        await pipeline.execute()

    async def _close(self, book: Book, candle: dict[str, Any]) -> None:
        await asyncio.sleep(1)
        await self._store(book, [candle], candle["window_start"] + WINDOW_S)
        self._changed[book.symbol].append(candle["window_start"])

    async def _store(self, book: Book, rows: Sequence[dict[str, Any]], closed_until: int) -> None:
        async with self._storing, self.postgres.transaction():
            await add_symbol(self.postgres, self.exchange, book.symbol, closed_until)
            await add_candles(self.postgres, *rows)
            await self._roll_up(book.symbol, [row["window_start"] for row in rows])

    async def _roll_up(self, symbol: str, starts: Sequence[int]) -> None:
        for interval, statement in ROLL_UP:
            parents = sorted({INTERVALS[interval.name].start_of(start) for start in starts})
            n = len(parents)
            await self.postgres.execute(statement, [self.exchange] * n, [symbol] * n, parents)


def plain(value: Any) -> str:
    """Return a value as text, as in Redis."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)
