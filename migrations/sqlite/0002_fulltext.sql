-- Words of the newest versions, as far as the setting `fulltext` says; the rowid is the rid.
-- Words come apart at spaces only: the program has made them.
CREATE VIRTUAL TABLE fulltext USING fts5 (
    narrative,
    content,
    content = '',
    contentless_delete = 1,
    detail = column,
    tokenize = 'ascii'
);
