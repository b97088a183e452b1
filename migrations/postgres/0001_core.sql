-- One row for each resource that ever was: its newest version.
CREATE TABLE resource (
    rid bigint PRIMARY KEY,         -- type << 44 | sequence
    type smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    ver bigint NOT NULL,
    vid bigint NOT NULL,
    updated bigint NOT NULL,        -- milliseconds since 1970
    deleted smallint NOT NULL
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX resource_id ON resource (type, id);
CREATE INDEX resource_updated ON resource (type, updated, rid);

-- The log: every version of every resource, append-only.
CREATE TABLE version (
    vid bigint PRIMARY KEY,
    rid bigint NOT NULL,
    ver bigint NOT NULL,
    ts bigint NOT NULL,
    op smallint NOT NULL,           -- 0 create, 1 update, 2 delete, 3 update that created
    hash bytea NOT NULL,            -- the first 16 bytes of the text's SHA-256
    body bytea NOT NULL             -- the text, packed
);
ALTER TABLE version ALTER hash SET STORAGE PLAIN;
ALTER TABLE version ALTER body SET STORAGE EXTERNAL;  -- to pack it once more gains nothing
CREATE UNIQUE INDEX version_rid ON version (rid, ver);
CREATE INDEX version_type ON version ((rid >> 44), vid);

-- What search finds: keys compare byte by byte.
CREATE TABLE entry (
    rid bigint NOT NULL,
    param integer NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (param, key, rid)
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
ALTER TABLE entry ALTER key SET STORAGE PLAIN;
CREATE INDEX entry_rid ON entry (rid, param, key);

-- Search parameters that users posted.
CREATE TABLE parameter (
    param bigint PRIMARY KEY,
    base smallint NOT NULL,         -- the resource type
    code text NOT NULL,
    definition text NOT NULL,       -- the SearchParameter
    state smallint NOT NULL,        -- 0 being indexed, 1 ready, 2 retired
    done bigint NOT NULL            -- indexed up to this rid
);

-- Small values: positions of followers, keys, what an import has done.
CREATE TABLE setting (
    key text PRIMARY KEY,
    value bytea NOT NULL
);

-- The log's positions, taken inside a commit; and blocks of resource numbers, 1,000 at a time.
CREATE SEQUENCE version_vid;
CREATE SEQUENCE resource_block;
