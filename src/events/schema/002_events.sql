-- The primary key of an event is its place in the order of lists: the milliseconds of its time, shifted left by 20
-- bits, plus its number among the events of that millisecond. So a span of time is a span of rows, a cursor is one
-- number, and every index ends in that order without naming it. The full text index has the same keys.
ALTER TABLE events RENAME TO events_by_seq;

CREATE TABLE events (
  at          INTEGER PRIMARY KEY,
  id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  ts          INTEGER, -- only where the event's time isn't at >> 20: outside what a key can hold, or its millisecond was full
  received    INTEGER NOT NULL,
  type        INTEGER NOT NULL,
  severity    INTEGER NOT NULL,
  assessed    INTEGER NOT NULL,
  class       INTEGER NOT NULL,
  group_id    INTEGER NOT NULL,
  occurrences INTEGER NOT NULL DEFAULT 1,
  user_id     ANY,
  ip          TEXT,
  path        TEXT,
  request_id  TEXT,
  source      TEXT,
  release     TEXT,
  environment TEXT,
  message     TEXT    NOT NULL,
  body        TEXT
) STRICT;

-- The next free place at or after the event's own, in the order of time and arrival.
INSERT INTO events
SELECT at, id, nullif(ts, at >> 20), received, type, severity, assessed, class, group_id, occurrences, user_id, ip, path,
       request_id, source, release, environment, message, body
FROM (
  SELECT *, n + max((min(max(ts, -8796093018112), 8796093022206) << 20) - n) OVER (ORDER BY n) AS at
  FROM (SELECT *, row_number() OVER (ORDER BY ts, seq) AS n FROM events_by_seq)
)
ORDER BY at;

DROP TABLE events_by_seq;

CREATE INDEX events_by_kind  ON events (type, severity);
CREATE INDEX events_by_group ON events (group_id);

-- Hours are those of the places.
DELETE FROM event_hours;
INSERT INTO event_hours (hour, type, severity, count)
SELECT ((at >> 20) - (((at >> 20) % 3600000) + 3600000) % 3600000) / 3600000, type, severity, count(*)
FROM events GROUP BY 1, 2, 3;

-- What an event can be found by: the words of its texts, and a token for each value that it can be asked for by
-- (events/index/words.rs). It holds no text of its own. Merging is the indexer's, in small steps, so that no commit ever
-- makes a large one.
CREATE VIRTUAL TABLE event_text USING fts5 (
  text, terms,
  content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO event_text (event_text, rank) VALUES ('automerge', 0);
INSERT INTO event_text (event_text, rank) VALUES ('crisismerge', 1000);
INSERT INTO event_text (event_text, rank) VALUES ('usermerge', 8);

-- Events that are not in event_text yet. Whoever inserts events inserts them here in the same transaction: not by a
-- trigger, which would cost each row a statement journal.
CREATE TABLE to_index (at INTEGER PRIMARY KEY) STRICT;
INSERT INTO to_index SELECT at FROM events;

-- Whoever removes events, the text index follows.
CREATE TRIGGER events_removed AFTER DELETE ON events BEGIN
  DELETE FROM event_text WHERE rowid = old.at AND NOT EXISTS (SELECT 1 FROM to_index WHERE at = old.at);
  DELETE FROM to_index WHERE at = old.at;
END;

-- 0 unresolved, 1 resolved, 2 muted; regressed_at is when a resolved group last came back.
ALTER TABLE groups ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE groups ADD COLUMN regressed_at INTEGER;
