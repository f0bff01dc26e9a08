"""The SQL of a commit.

One transaction runs the statements in this order: lock, guard, candles, the empty windows after them, verdicts, new
empty windows, then the rollups from the shortest interval to the longest.

Rows are passed as arrays, one for each column, which `unnest` turns into rows. Amounts are passed as text: numeric
parses it exactly, and text is the cheapest form to send.
"""

from typing import Final

from marketstream.market.window import INTERVALS, ROLLUPS, WINDOW_S, Interval

MAX_EMPTY_WINDOWS: Final = 7 * 24 * 3600 // WINDOW_S
"""Maximum number of empty windows, a week of them, for which one verdict adds rows. Older ones stay unknown.

As many empty windows take over the close of a corrected candle before them.
"""

CLAIM: Final = """
INSERT INTO progress AS p (exchange, symbol, topic, fence)
SELECT exchange, symbol, topic, known + 1
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS n (exchange, symbol, topic, known)
ORDER BY exchange, symbol
ON CONFLICT (exchange, symbol) DO UPDATE
SET fence = greatest(p.fence + 1, excluded.fence), topic = excluded.topic, updated_at = now()
RETURNING exchange, symbol, fence, commit_number, resume_offset, position, closed_until,
          counted, edge_times, unfillable, settled_id, generation, generation_since, begin_known
"""

# Every transaction takes these locks first and in this order, so that no deadlock can occur.
LOCK: Final = """
SELECT exchange, symbol, fence, commit_number FROM progress
WHERE (exchange, symbol) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY exchange, symbol FOR UPDATE
"""

GUARD: Final = """
UPDATE progress AS p
SET commit_number = n.commit_number, resume_offset = n.resume_offset, position = n.position,
    closed_until = n.closed_until,
    counted = n.counted::int8multirange, edge_times = n.edge_times::bigint[],
    unfillable = n.unfillable::int8multirange, settled_id = n.settled_id,
    generation = n.generation, generation_since = n.generation_since, begin_known = n.begin_known, updated_at = now()
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::text[], $9::text[], $10::text[], $11::bigint[], $12::int[], $13::bigint[], $14::boolean[])
     AS n (exchange, symbol, fence, commit_number, resume_offset, position, closed_until, counted, edge_times,
           unfillable, settled_id, generation, generation_since, begin_known)
WHERE p.exchange = n.exchange AND p.symbol = n.symbol
  AND p.fence = n.fence AND p.commit_number = n.commit_number - 1
RETURNING p.exchange, p.symbol
"""

_KEY: Final = "exchange, symbol, window_start"

# Inserts a new window, or adds late trades to the row of a closed one. Such a row is marked incomplete, even if it was
# complete before; the verdicts, which judge the whole row, follow in the same transaction.
MERGE: Final = f"""
INSERT INTO candles_10s AS c
    ({_KEY}, open, high, low, close, volume, quote_volume, taker_buy_volume, open_time, open_id, close_time, close_id,
     trade_count, first_trade_id, last_trade_id, incomplete_reason, complete)
SELECT {_KEY}, open::numeric, high::numeric, low::numeric, close::numeric, volume::numeric, quote_volume::numeric,
       taker_buy_volume::numeric, open_time, open_id, close_time, close_id, trade_count, first_id, last_id,
       reason, reason IS NULL
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
            $16::bigint[], $17::bigint[], $18::text[])
     AS n ({_KEY}, open, high, low, close, volume, quote_volume, taker_buy_volume, open_time, open_id, close_time,
           close_id, trade_count, first_id, last_id, reason)
ON CONFLICT ({_KEY}) DO UPDATE SET
    open = CASE WHEN c.trade_count = 0 OR (excluded.open_time, excluded.open_id) < (c.open_time, c.open_id)
                THEN excluded.open ELSE c.open END,
    open_time = CASE WHEN c.trade_count = 0 THEN excluded.open_time ELSE least(c.open_time, excluded.open_time) END,
    open_id = CASE WHEN c.trade_count = 0 OR (excluded.open_time, excluded.open_id) < (c.open_time, c.open_id)
                   THEN excluded.open_id ELSE c.open_id END,
    high = CASE WHEN c.trade_count = 0 THEN excluded.high ELSE greatest(c.high, excluded.high) END,
    low = CASE WHEN c.trade_count = 0 THEN excluded.low ELSE least(c.low, excluded.low) END,
    close = CASE WHEN c.trade_count = 0 OR (excluded.close_time, excluded.close_id) > (c.close_time, c.close_id)
                 THEN excluded.close ELSE c.close END,
    close_time = CASE WHEN c.trade_count = 0 THEN excluded.close_time
                      ELSE greatest(c.close_time, excluded.close_time) END,
    close_id = CASE WHEN c.trade_count = 0 OR (excluded.close_time, excluded.close_id) > (c.close_time, c.close_id)
                    THEN excluded.close_id ELSE c.close_id END,
    volume = c.volume + excluded.volume,
    quote_volume = c.quote_volume + excluded.quote_volume,
    taker_buy_volume = c.taker_buy_volume + excluded.taker_buy_volume,
    trade_count = c.trade_count + excluded.trade_count,
    first_trade_id = CASE WHEN c.trade_count = 0 THEN excluded.first_trade_id
                          ELSE least(c.first_trade_id, excluded.first_trade_id) END,
    last_trade_id = CASE WHEN c.trade_count = 0 THEN excluded.last_trade_id
                         ELSE greatest(c.last_trade_id, excluded.last_trade_id) END,
    complete = false,
    incomplete_reason = coalesce(c.incomplete_reason, 'unconfirmed'),
    revision = c.revision + 1,
    updated_at = now()
"""

# A candle that is new or corrected may have another close than the empty windows after it repeat, up to the next window
# with trades. The row sought is nearly always none: a separate statement finds it by the index, and a single one would
# let the planner expect so many rows that it scans the table.
FOLLOWING: Final = f"""
SELECT k.exchange, k.symbol, e.window_start,
       b.close::text AS close, b.close_time, b.close_id, b.last_trade_id
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k ({_KEY}),
     LATERAL (SELECT close, close_time, close_id, last_trade_id FROM candles_10s AS b
              WHERE b.exchange = k.exchange AND b.symbol = k.symbol AND b.window_start = k.window_start) AS b,
     LATERAL (SELECT coalesce(
         (SELECT window_start FROM candles_10s AS t
          WHERE t.exchange = k.exchange AND t.symbol = k.symbol AND t.trade_count > 0
            AND t.window_start > k.window_start AND t.window_start <= k.window_start + {MAX_EMPTY_WINDOWS * WINDOW_S}
          ORDER BY window_start LIMIT 1),
         k.window_start + {(MAX_EMPTY_WINDOWS + 1) * WINDOW_S}) AS next) AS t,
     LATERAL (SELECT window_start FROM candles_10s AS e
              WHERE e.exchange = k.exchange AND e.symbol = k.symbol
                AND e.window_start > k.window_start AND e.window_start < t.next
                AND (e.close, e.close_time, e.close_id, e.last_trade_id)
                    IS DISTINCT FROM (b.close, b.close_time, b.close_id, b.last_trade_id)) AS e
"""

FOLLOW: Final = f"""
UPDATE candles_10s AS c
SET open = f.close::numeric, high = f.close::numeric, low = f.close::numeric, close = f.close::numeric,
    open_time = f.close_time, open_id = f.close_id, close_time = f.close_time, close_id = f.close_id,
    first_trade_id = f.last_id + 1, last_trade_id = f.last_id, revision = c.revision + 1, updated_at = now()
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS f ({_KEY}, close, close_time, close_id, last_id)
WHERE c.exchange = f.exchange AND c.symbol = f.symbol AND c.window_start = f.window_start
"""

_VERDICTS: Final = """
unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
    AS v (exchange, symbol, first, last, reason, low_id, high_id)
"""

# A complete row stays complete unless its trades change. A row becomes complete only if all its ids lie in the run that
# proves the window.
JUDGE: Final = f"""
UPDATE candles_10s AS c
SET complete = v.reason IS NULL, incomplete_reason = v.reason, revision = c.revision + 1, updated_at = now()
FROM {_VERDICTS}
WHERE c.exchange = v.exchange AND c.symbol = v.symbol AND c.window_start BETWEEN v.first AND v.last
  AND NOT c.complete AND c.incomplete_reason IS DISTINCT FROM v.reason
  AND (v.reason IS NOT NULL OR c.first_trade_id >= v.low_id AND c.last_trade_id <= v.high_id)
RETURNING c.exchange, c.symbol, c.window_start
"""

# A window that is proven complete and has no row held no trades: its row repeats the close of the last trade before it.
# The statement fills the space between each row and the next. To search for the row before each window instead would
# scan all rows that this statement has added, again for each window. The row before may hold ids from beyond a jump or
# of two generations, so the id of its close must lie in the run, not its greatest one.
PROVE_EMPTY: Final = f"""
INSERT INTO candles_10s
    ({_KEY}, open, high, low, close, volume, quote_volume, taker_buy_volume, open_time, open_id, close_time, close_id,
     trade_count, first_trade_id, last_trade_id, complete)
SELECT v.exchange, v.symbol, w, b.close, b.close, b.close, b.close, 0, 0, 0,
       b.close_time, b.close_id, b.close_time, b.close_id, 0, b.last_id + 1, b.last_id, true
FROM {_VERDICTS},
     LATERAL (SELECT greatest(v.first, v.last - {(MAX_EMPTY_WINDOWS - 1) * WINDOW_S}) AS first) AS empty,
     LATERAL (SELECT close, close_time, close_id, window_start,
                     CASE WHEN last_trade_id <= v.high_id THEN last_trade_id ELSE close_id END AS last_id,
                     lead(window_start, 1, v.last + {WINDOW_S}) OVER (ORDER BY window_start) AS next
              FROM candles_10s AS e
              WHERE e.exchange = v.exchange AND e.symbol = v.symbol AND e.window_start <= v.last
                AND e.window_start >= coalesce(
                    (SELECT max(window_start) FROM candles_10s AS e
                     WHERE e.exchange = v.exchange AND e.symbol = v.symbol AND e.window_start < empty.first),
                    empty.first)) AS b,
     generate_series(greatest(b.window_start + {WINDOW_S}, empty.first), b.next - {WINDOW_S}, {WINDOW_S}) AS w
WHERE v.reason IS NULL AND b.close_id BETWEEN v.low_id AND v.high_id
RETURNING {_KEY}
"""

STORED: Final = """
SELECT window_start FROM candles_10s WHERE exchange = $1 AND symbol = $2 AND window_start = ANY($3::bigint[])
"""

NEWEST_CLOSED: Final = """
SELECT c.* FROM unnest($1::text[], $2::text[]) AS k (exchange, symbol),
LATERAL (SELECT * FROM candles_10s AS c WHERE c.exchange = k.exchange AND c.symbol = k.symbol
         ORDER BY c.window_start DESC LIMIT 1) AS c
"""


def _first(column: str) -> str:
    return f"coalesce((array_agg({column} ORDER BY r.window_start) FILTER (WHERE trade_count > 0))[1], min({column}))"


def _last(column: str) -> str:
    return (
        f"coalesce((array_agg({column} ORDER BY r.window_start DESC) FILTER (WHERE trade_count > 0))[1], max({column}))"
    )


def _rollup(interval: Interval) -> str:
    """Return the statement that recomputes the candles of `interval` at the given keys from their children.

    Children without trades contribute no prices, unless no child has a trade.
    """
    children = INTERVALS[interval.children or ""]
    expected = interval.seconds // children.seconds
    columns = {
        "open": _first("open"),
        "open_time": _first("open_time"),
        "open_id": _first("open_id"),
        "first_trade_id": _first("first_trade_id"),
        "close": _last("close"),
        "close_time": _last("close_time"),
        "close_id": _last("close_id"),
        "last_trade_id": _last("last_trade_id"),
        "high": "coalesce(max(high) FILTER (WHERE trade_count > 0), max(high))",
        "low": "coalesce(min(low) FILTER (WHERE trade_count > 0), min(low))",
        "volume": "sum(volume)",
        "quote_volume": "sum(quote_volume)",
        "taker_buy_volume": "sum(taker_buy_volume)",
        "trade_count": "sum(trade_count)",
        "complete": f"count(*) = {expected} AND bool_and(complete)",
        "incomplete_reason": f"""CASE WHEN count(*) = {expected} AND bool_and(complete) THEN NULL
             WHEN bool_or(incomplete_reason = 'hole') THEN 'hole'
             WHEN bool_or(incomplete_reason = 'unfillable') THEN 'unfillable'
             WHEN bool_or(incomplete_reason = 'unordered_ids') THEN 'unordered_ids'
             ELSE 'unconfirmed' END""",
    }
    # LATERAL, so that the index finds the children of each key. A join would compare all keys with all children.
    return f"""
INSERT INTO {interval.table} AS c ({_KEY}, {", ".join(columns)})
SELECT k.exchange, k.symbol, k.window_start, r.*
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k ({_KEY}),
LATERAL (SELECT {", ".join(f"{value} AS {column}" for column, value in columns.items())}
         FROM {children.table} AS r
         WHERE r.exchange = k.exchange AND r.symbol = k.symbol
           AND r.window_start >= k.window_start AND r.window_start < k.window_start + {interval.seconds}
         HAVING count(*) > 0) AS r
ON CONFLICT ({_KEY}) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in columns)},
    revision = c.revision + 1, updated_at = now()
"""


ROLL_UP: Final = tuple((interval, _rollup(interval)) for interval in ROLLUPS)
"""Each longer interval with its statement, in an order in which children precede their parents."""
