-- Words of the newest versions, as far as the setting `fulltext` says.
CREATE TABLE fulltext (
    rid bigint PRIMARY KEY,
    narrative tsvector NOT NULL,
    content tsvector NOT NULL
);
CREATE INDEX fulltext_narrative ON fulltext USING gin (narrative);
CREATE INDEX fulltext_content ON fulltext USING gin (content);
