-- Users, roles, clients, sessions, tokens and what else the authorization server keeps. The body
-- is JSON of a shape that `kind` tells; secrets in it are hashed or sealed.
CREATE TABLE identity (
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,            -- what it goes with: a session's user, a token's grant
    version INTEGER NOT NULL,       -- from 1; for compare and swap
    expires INTEGER,                -- milliseconds since 1970; not valid from then on
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_owner ON identity (kind, owner, id);
CREATE INDEX identity_expires ON identity (expires) WHERE expires IS NOT NULL;
