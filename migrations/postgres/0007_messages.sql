-- Messages of HL7 v2, as they came and with what became of them.
CREATE TABLE message (
    id bytea PRIMARY KEY,           -- a UUID of version 7
    -- The same message within a window of time, whoever takes it.
    once bytea UNIQUE,
    state smallint NOT NULL,        -- 0 waiting, 1 done, 2 failed, 3 dropped, 4 refused
    attempts integer NOT NULL,
    next bigint,                    -- milliseconds since 1970
    channel text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,       -- MSH-3|MSH-4
    control text COLLATE "C" NOT NULL,      -- MSH-10
    kind text COLLATE "C" NOT NULL,         -- ADT^A01
    hash bytea NOT NULL,            -- of the bytes
    lines bytea NOT NULL,           -- what its order is kept with: numbers of 8 bytes
    reuses bytea,                   -- an earlier one with the same control id and other bytes
    ack bytea,                      -- the answer of the application, packed
    detail bytea NOT NULL,          -- notes, versions made, error, packed
    raw bytea NOT NULL              -- packed
);
ALTER TABLE message ALTER raw SET STORAGE EXTERNAL;
ALTER TABLE message ALTER detail SET STORAGE EXTERNAL;
ALTER TABLE message ALTER ack SET STORAGE EXTERNAL;
CREATE INDEX message_control ON message (control, sender);
CREATE INDEX message_channel ON message (channel, id);
CREATE INDEX message_kind ON message (kind, id);
CREATE INDEX message_state ON message (state, id) WHERE state <> 1;

-- Whom messages are about.
CREATE TABLE message_patient (
    patient text COLLATE "C" NOT NULL,      -- the logical id
    id bytea NOT NULL,
    PRIMARY KEY (patient, id)
);
CREATE INDEX message_patient_id ON message_patient (id);

-- Messages to be sent.
CREATE TABLE delivery (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line bigint NOT NULL,
    created bigint NOT NULL,        -- milliseconds since 1970
    next bigint,
    state smallint NOT NULL,        -- 0 waiting, 1 done, 2 failed, 3 dropped
    attempts integer NOT NULL,
    destination text COLLATE "C" NOT NULL,
    control text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    source text COLLATE "C",        -- the version that it tells of
    error text,
    ack bytea,                      -- packed
    raw bytea NOT NULL              -- packed
);
CREATE INDEX delivery_open ON delivery (destination, state, n) WHERE state <> 1;
CREATE INDEX delivery_control ON delivery (control);
CREATE INDEX delivery_source ON delivery (source) WHERE source IS NOT NULL;
