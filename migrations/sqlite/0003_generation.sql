-- Raised whenever the search parameters change.
PRAGMA user_version = 1;
