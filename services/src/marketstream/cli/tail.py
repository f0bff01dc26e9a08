"""`marketstream tail`: the records of the trade topics as JSON lines."""

import asyncio
import sys
from argparse import Namespace
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from marketstream import codec
from marketstream.cli.addresses import find_settings
from marketstream.kafka.tail import Stored, tail
from marketstream.market.number import to_text
from marketstream.market.trade import Trades
from marketstream.settings import Settings
from marketstream.telemetry import configure_logging

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def run_tail(given: Namespace) -> int:
    """Print records until the limit, Ctrl-C or a closed pipe."""
    settings = find_settings("kafka_bootstrap", given.data)
    configure_logging("error")  # the client logs every connection; a fatal error is raised instead
    asyncio.run(_print(settings, given))
    return 0


async def _print(settings: Settings, given: Namespace) -> None:
    left = given.limit
    records = tail(settings, exchange=given.exchange, symbols=given.symbols, from_start=given.from_start)
    async with aclosing(records):
        async for stored in records:
            shown = readable(stored)
            if given.kind not in ("all", shown.get("kind", given.kind)):
                continue
            sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
            sys.stdout.flush()
            if left is not None and (left := left - 1) == 0:
                return


def readable(stored: Stored) -> dict[str, Any]:
    """Return the record with named fields, decimal text for amounts, and ISO times.

    A record that cannot be decoded has the field `error`.
    """
    place = {"topic": stored.topic, "offset": stored.offset}
    try:
        record = codec.decode(stored.data)
    except codec.CodecError as error:
        return {**place, "error": str(error)}
    head = {"exchange": record.exchange, "symbol": record.symbol, "received": _iso(record.received_us)}
    match record:
        case codec.TradesRecord():
            return {**place, "kind": "trades", **head, "trades": _trades(record.trades)}
        case codec.Quiet():
            return {**place, "kind": "quiet", **head, "newest_id": record.newest_id, "until": _iso(record.until_us)}
        case codec.Heartbeat():
            closes = {"closes_before": _iso(record.closes_before_us), "max_acked_id": record.max_acked_id}
            return {**place, "kind": "heartbeat", **head, **closes, "connected": record.is_connected}
        case codec.End():
            return {**place, "kind": "end", **head}


def _trades(trades: Trades) -> list[dict[str, Any]]:
    return [
        {
            "id": trade.id,
            **({"n": trade.n} if trade.n != 1 else {}),
            "time": _iso(trade.time),
            "price": to_text(trade.price, trades.price_scale),
            "quantity": to_text(trade.quantity, trades.quantity_scale),
            "taker": "buy" if trade.taker_buy else "sell",
        }
        for trade in trades
    ]


def _iso(time_us: int) -> str:
    """Return Unix µs as 2021-01-08T00:00:46.355000Z, or as a number if the year does not fit a date."""
    try:
        time = _EPOCH + timedelta(microseconds=time_us)
    except OverflowError:
        return f"{time_us} µs"
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
