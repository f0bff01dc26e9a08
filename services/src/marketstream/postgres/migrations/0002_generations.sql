-- The exchange may begin its ids again. All ids of a row belong to one generation of them.
ALTER TABLE progress
    -- The number of times that the ids have begun again.
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    -- Unix µs: trades from before this time belong to earlier generations and are no longer accounted for.
    ADD COLUMN generation_since bigint NOT NULL DEFAULT 0;
