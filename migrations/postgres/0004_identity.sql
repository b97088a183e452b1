-- Users, roles, clients, sessions, tokens and what else the authorization server keeps. The body
-- is JSON of a shape that `kind` tells; secrets in it are hashed or sealed.
CREATE TABLE identity (
    kind bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL, -- what it goes with: a session's user, a token's grant
    version bigint NOT NULL,        -- from 1; for compare and swap
    expires bigint,                 -- milliseconds since 1970; not valid from then on
    body bytea NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX identity_owner ON identity (kind, owner, id);
CREATE INDEX identity_expires ON identity (expires) WHERE expires IS NOT NULL;
