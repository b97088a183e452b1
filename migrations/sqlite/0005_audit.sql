-- Who saw and changed what, append-only: a row for each commit, and for each group of reads.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,            -- milliseconds since 1970, of its first event
    body BLOB NOT NULL              -- the events, encoded
) STRICT;

-- Blocks of rows, each with the hash of the block before it.
CREATE TABLE audit_seal (
    number INTEGER PRIMARY KEY,     -- from 1, without gaps
    first_seq INTEGER NOT NULL,     -- where the block before it ends, plus 1
    last_seq INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    total INTEGER NOT NULL,         -- rows of all blocks up to this one
    first_ts INTEGER NOT NULL,      -- of the earliest event
    last_ts INTEGER NOT NULL,       -- of the latest event
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,             -- SHA-256
    filter BLOB NOT NULL            -- which patients, agents, entities and codes are not in it
) STRICT;
CREATE INDEX audit_seal_first ON audit_seal (first_ts, number);
CREATE INDEX audit_seal_last ON audit_seal (last_ts, number);
