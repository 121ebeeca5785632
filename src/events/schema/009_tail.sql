-- The order in which events were stored, which is not that of their times: the spool brings events late, and a phone reports
-- yesterday's. stored is counted from the row below in the transaction that stores the event; NULL for events of before.
ALTER TABLE events ADD COLUMN stored INTEGER;
CREATE INDEX events_by_stored ON events (stored) WHERE stored IS NOT NULL;

-- last: the number that was given last; it never goes back, whatever is removed. removed: the largest number of an event
-- that was removed. log: a random number that names this very sequence, so that a position in another one is known as that.
-- Where there are events of before they count as number 1, which was removed: whoever reads from the beginning is told.
CREATE TABLE event_sequence (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  log     INTEGER NOT NULL,
  last    INTEGER NOT NULL,
  removed INTEGER NOT NULL
) STRICT;
INSERT INTO event_sequence SELECT 1, random() & 0xffffffff, n, n FROM (SELECT EXISTS (SELECT 1 FROM events) AS n);
