-- Who saw and changed what, append-only: a row for each commit, and for each group of reads.
CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    ts bigint NOT NULL,             -- milliseconds since 1970, of its first event
    body bytea NOT NULL             -- the events, encoded
);
ALTER TABLE audit ALTER body SET STORAGE EXTERNAL;  -- to pack it once more gains nothing

-- Blocks of rows, each with the hash of the block before it.
CREATE TABLE audit_seal (
    number bigint PRIMARY KEY,      -- from 1, without gaps
    first_seq bigint NOT NULL,      -- where the block before it ends, plus 1
    last_seq bigint NOT NULL,
    rows bigint NOT NULL,
    total bigint NOT NULL,          -- rows of all blocks up to this one
    first_ts bigint NOT NULL,       -- of the earliest event
    last_ts bigint NOT NULL,        -- of the latest event
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,            -- SHA-256
    filter bytea NOT NULL           -- which patients, agents, entities and codes are not in it
);
ALTER TABLE audit_seal ALTER filter SET STORAGE EXTERNAL;
CREATE INDEX audit_seal_first ON audit_seal (first_ts, number);
CREATE INDEX audit_seal_last ON audit_seal (last_ts, number);

-- The rows' positions, taken inside a commit.
CREATE SEQUENCE audit_seq;
