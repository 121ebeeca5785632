-- How many events ever left by a bound, and about how many bytes they took: age, count, bytes, disk. Counted in the
-- transaction that removes them, and never again less.
CREATE TABLE retention_removed (
  reason TEXT    NOT NULL PRIMARY KEY,
  events INTEGER NOT NULL,
  bytes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was in use on the disk, once an hour (milliseconds since the epoch / 3600000) and for two weeks: by events.db with
-- its log, and by everything else on its file system.
CREATE TABLE disk_use (
  hour   INTEGER PRIMARY KEY,
  events INTEGER NOT NULL,
  others INTEGER NOT NULL
) STRICT;
