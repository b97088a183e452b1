-- One row for each resource that ever was: its newest version.
CREATE TABLE resource (
    rid INTEGER PRIMARY KEY,        -- type << 44 | sequence
    type INTEGER NOT NULL,
    id TEXT NOT NULL,
    ver INTEGER NOT NULL,
    vid INTEGER NOT NULL,
    updated INTEGER NOT NULL,       -- milliseconds since 1970
    deleted INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX resource_id ON resource (type, id);
CREATE INDEX resource_updated ON resource (type, updated, rid);

-- The log: every version of every resource, append-only.
CREATE TABLE version (
    vid INTEGER PRIMARY KEY,
    rid INTEGER NOT NULL,
    ver INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    op INTEGER NOT NULL,            -- 0 create, 1 update, 2 delete, 3 update that created
    hash BLOB NOT NULL,             -- the first 16 bytes of the text's SHA-256
    body BLOB NOT NULL              -- the text, packed
) STRICT;
CREATE UNIQUE INDEX version_rid ON version (rid, ver);
CREATE INDEX version_type ON version (rid >> 44, vid);

-- What search finds: keys compare byte by byte.
CREATE TABLE entry (
    param INTEGER NOT NULL,
    key BLOB NOT NULL,
    rid INTEGER NOT NULL,
    PRIMARY KEY (param, key, rid)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_rid ON entry (rid, param, key);

-- Search parameters that users posted.
CREATE TABLE parameter (
    param INTEGER PRIMARY KEY,
    base INTEGER NOT NULL,          -- the resource type
    code TEXT NOT NULL,
    definition TEXT NOT NULL,       -- the SearchParameter
    state INTEGER NOT NULL,         -- 0 being indexed, 1 ready, 2 retired
    done INTEGER NOT NULL           -- indexed up to this rid
) STRICT;

-- Small values: positions of followers, keys, what an import has done.
CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
