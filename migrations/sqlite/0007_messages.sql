-- Messages of HL7 v2, as they came and with what became of them. In the order in which they came.
CREATE TABLE message (
    id BLOB PRIMARY KEY,            -- a UUID of version 7
    state INTEGER NOT NULL,         -- 0 waiting, 1 done, 2 failed, 3 dropped, 4 refused
    channel TEXT NOT NULL,
    sender TEXT NOT NULL,           -- MSH-3|MSH-4
    control TEXT NOT NULL,          -- MSH-10
    kind TEXT NOT NULL,             -- ADT^A01
    hash BLOB NOT NULL,             -- of the bytes
    lines BLOB NOT NULL,            -- what its order is kept with: numbers of 8 bytes
    attempts INTEGER NOT NULL,
    next INTEGER,                   -- milliseconds since 1970
    reuses BLOB,                    -- an earlier one with the same control id and other bytes
    ack BLOB,                       -- the answer of the application, packed
    detail BLOB NOT NULL,           -- notes, versions made, error, packed
    raw BLOB NOT NULL               -- packed
) STRICT, WITHOUT ROWID;
CREATE INDEX message_control ON message (control, sender);
CREATE INDEX message_channel ON message (channel, id);
CREATE INDEX message_kind ON message (kind, id);
CREATE INDEX message_state ON message (state, id) WHERE state <> 1;

-- Whom messages are about.
CREATE TABLE message_patient (
    patient TEXT NOT NULL,          -- the logical id
    id BLOB NOT NULL,
    PRIMARY KEY (patient, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_patient_id ON message_patient (id);

-- Messages to be sent.
CREATE TABLE delivery (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    state INTEGER NOT NULL,         -- 0 waiting, 1 done, 2 failed, 3 dropped
    line INTEGER NOT NULL,
    created INTEGER NOT NULL,       -- milliseconds since 1970
    attempts INTEGER NOT NULL,
    next INTEGER,
    control TEXT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT,                    -- the version that it tells of
    error TEXT,
    ack BLOB,                       -- packed
    raw BLOB NOT NULL               -- packed
) STRICT;
CREATE INDEX delivery_open ON delivery (destination, state, n) WHERE state <> 1;
CREATE INDEX delivery_control ON delivery (control);
CREATE INDEX delivery_source ON delivery (source) WHERE source IS NOT NULL;
