-- Raised whenever the search parameters change; a sequence, to be seen outside of snapshots.
CREATE SEQUENCE parameter_generation;
SELECT nextval('parameter_generation');
