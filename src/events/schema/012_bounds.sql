-- By which clock ages are judged (events/retention/trust.rs), milliseconds since the epoch: at is the time that is believed;
-- where the wall clock says something else, wall is that, and held how long it has been consistent while the log was kept.
CREATE TABLE retention_clock (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  at   INTEGER NOT NULL,
  wall INTEGER,
  held INTEGER NOT NULL
) STRICT;

-- Receipts of single removals are kept up to a number; what older ones counted goes on in retention_removed, as "purge".
CREATE INDEX purges_of_one ON purges (id) WHERE kind = 2;
