-- An event's row may stand for more occurrences than one: a storm of one group is thinned to samples. Whoever counts
-- events counts occurrences; the rows for which that differs are few, and these are their numbers.
CREATE INDEX events_thinned ON events (at, occurrences) WHERE occurrences > 1;

-- The ids of occurrences that were counted on a sample, in the order in which they came; bounded (events/storm/thinning.rs).
-- sample is the id of the row, which may have been removed since. received: milliseconds since the epoch.
CREATE TABLE counted (
  n        INTEGER PRIMARY KEY,
  id       BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  sample   BLOB    NOT NULL CHECK (length(sample) = 16),
  received INTEGER NOT NULL
) STRICT;
