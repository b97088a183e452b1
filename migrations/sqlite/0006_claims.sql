-- Who has which time of whom: the one truth of busy time. In the order in which a look at an
-- actor's time reads it.
CREATE TABLE claim (
    actor INTEGER NOT NULL,
    size INTEGER NOT NULL,          -- 0 up to a day, 1 up to 32 days, 2 longer
    padded_start INTEGER NOT NULL,  -- seconds since 1970, as all times here
    padded_end INTEGER NOT NULL,
    core_start INTEGER NOT NULL,
    core_end INTEGER NOT NULL,
    owner INTEGER NOT NULL,         -- the Appointment or Slot
    n INTEGER NOT NULL,             -- its claims, from 0
    kind INTEGER NOT NULL,          -- 0 booking, 1 taken, 2 blocked, 3 opening
    buffers INTEGER NOT NULL,       -- 0 stack, 1 share, 2 ignore
    capacity INTEGER NOT NULL,
    seat INTEGER NOT NULL,
    expires INTEGER,                -- a hold, up to here
    PRIMARY KEY (actor, size, padded_start, owner, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX claim_owner ON claim (owner, n);

-- Answers to requests that may be sent again.
CREATE TABLE receipt (
    key BLOB PRIMARY KEY,
    request BLOB NOT NULL,          -- the hash of the request
    expires INTEGER NOT NULL,       -- milliseconds since 1970
    answer BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_expires ON receipt (expires);
