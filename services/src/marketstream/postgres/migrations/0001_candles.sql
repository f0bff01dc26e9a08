-- Candles of 10 seconds, their rollups, and how far the processors have come.
-- A row per closed window; no row means that nothing is known of the window.
CREATE TABLE candles_10s (
    id bigserial PRIMARY KEY,
    symbol text NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    window_start bigint NOT NULL,
    exchange text NOT NULL,
    -- Time (Unix µs) and id of the first and last trade: what merging a late trade needs. In a window without trades
    -- they are those of the last trade before it.
    open_time bigint NOT NULL,
    open_id bigint NOT NULL,
    close_time bigint NOT NULL,
    close_id bigint NOT NULL,
    quote_volume numeric NOT NULL,
    taker_buy_volume numeric NOT NULL,
    trade_count bigint NOT NULL,
    first_trade_id bigint NOT NULL,
    last_trade_id bigint NOT NULL,
    complete boolean NOT NULL,
    incomplete_reason text,
    revision integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT aligned CHECK (window_start % 10 = 0),
    CONSTRAINT ordered CHECK (low <= open AND low <= close AND high >= open AND high >= close),
    CONSTRAINT complete_or_marked CHECK (complete = (incomplete_reason IS NULL)),
    CONSTRAINT known_reason CHECK (incomplete_reason IN ('hole', 'unfillable', 'unconfirmed', 'unordered_ids'))
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX candles_10s_key ON candles_10s (exchange, symbol, window_start);

CREATE TABLE candles_1m (LIKE candles_10s INCLUDING ALL);
CREATE TABLE candles_5m (LIKE candles_10s INCLUDING ALL);
CREATE TABLE candles_15m (LIKE candles_10s INCLUDING ALL);
CREATE TABLE candles_1h (LIKE candles_10s INCLUDING ALL);
CREATE TABLE candles_4h (LIKE candles_10s INCLUDING ALL);
CREATE TABLE candles_1d (LIKE candles_10s INCLUDING ALL);

-- A row per symbol, owned by the processor that holds the fence.
CREATE TABLE progress (
    exchange text NOT NULL,
    symbol text NOT NULL,
    topic text NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    -- The number of the last commit: a commit whose answer was lost is sent again and stored only once.
    commit_number bigint NOT NULL DEFAULT 0,
    -- Where reading begins again, and the offset after the last record applied.
    resume_offset bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    -- Unix seconds: windows that start before it are closed.
    closed_until bigint NOT NULL DEFAULT 0,
    -- Trade ids in closed windows. For each range, in order, edge_times has two entries (Unix µs): the time of its
    -- first trade, and the time until which no other trade follows its last one.
    counted int8multirange NOT NULL DEFAULT '{}',
    edge_times bigint[] NOT NULL DEFAULT '{}',
    -- Holes given up: the exchange has no such trades.
    unfillable int8multirange NOT NULL DEFAULT '{}',
    -- Ids up to here are no longer accounted for, as there were too many holes to keep in mind: whatever still comes
    -- of them is refused.
    settled_id bigint NOT NULL DEFAULT -1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, symbol)
) WITH (fillfactor = 50);
