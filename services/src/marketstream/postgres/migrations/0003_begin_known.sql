-- True if the beginning of the lowest range of ids was reached, or never will be: it is not asked for again.
-- A symbol of which nothing was counted is a new one; the beginnings of all others were settled by the old rule.
ALTER TABLE progress ADD COLUMN begin_known boolean NOT NULL DEFAULT false;
UPDATE progress SET begin_known = true WHERE counted <> '{}' OR settled_id >= 0;
