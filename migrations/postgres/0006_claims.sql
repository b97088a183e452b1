-- For an exclusion constraint over numbers and ranges; comes with PostgreSQL, and who owns the
-- database may make it.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Who has which time of whom: the one truth of busy time.
CREATE TABLE claim (
    actor bigint NOT NULL,
    padded_start bigint NOT NULL,   -- seconds since 1970, as all times here
    padded_end bigint NOT NULL,
    core_start bigint NOT NULL,
    core_end bigint NOT NULL,
    owner bigint NOT NULL,          -- the Appointment or Slot
    expires bigint,                 -- a hold, up to here
    n integer NOT NULL,             -- its claims, from 0
    capacity integer NOT NULL,
    seat integer NOT NULL,
    size smallint NOT NULL,         -- 0 up to a day, 1 up to 32 days, 2 longer
    kind smallint NOT NULL,         -- 0 booking, 1 taken, 2 blocked, 3 opening
    buffers smallint NOT NULL,      -- 0 stack, 1 share, 2 ignore
    PRIMARY KEY (owner, n),
    -- Commits check under locks; this is what makes a mistake in that loud.
    CONSTRAINT claim_once EXCLUDE USING gist (
        actor WITH =,
        seat WITH =,
        int8range(CASE buffers WHEN 0 THEN padded_start ELSE core_start END,
                  CASE buffers WHEN 0 THEN padded_end ELSE core_end END) WITH &&
    ) WHERE (kind = 0)
);
CREATE INDEX claim_actor ON claim (actor, size, padded_start);

-- Answers to requests that may be sent again.
CREATE TABLE receipt (
    key bytea PRIMARY KEY,
    request bytea NOT NULL,         -- the hash of the request
    expires bigint NOT NULL,        -- milliseconds since 1970
    answer bytea NOT NULL
);
ALTER TABLE receipt ALTER key SET STORAGE PLAIN;
CREATE INDEX receipt_expires ON receipt (expires);
