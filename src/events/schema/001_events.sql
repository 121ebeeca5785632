-- One row an event. type, severity, assessed and class are the numbers of the enums in events/model.rs and
-- events/classify.rs. user_id is ANY: a number stays a number. body holds details, tags, exception and fingerprint.
CREATE TABLE events (
  seq         INTEGER PRIMARY KEY,
  id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  ts          INTEGER NOT NULL,
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

-- Every index ends in the rowid, which is seq: lists are newest first by (ts, seq).
CREATE INDEX events_by_time  ON events (ts);
CREATE INDEX events_by_kind  ON events (type, severity, ts);
CREATE INDEX events_by_group ON events (group_id, ts);

-- AUTOINCREMENT: the id of a removed group (E-17) never names another one.
CREATE TABLE groups (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  title       TEXT    NOT NULL,
  type        INTEGER NOT NULL,
  source      TEXT,
  severity    INTEGER NOT NULL,
  explanation TEXT    NOT NULL,
  first_seen  INTEGER NOT NULL,
  last_seen   INTEGER NOT NULL,
  count       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX groups_by_count ON groups (count);

-- Many keys may lead to one group.
CREATE TABLE group_keys (
  hash     BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 16),
  group_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many rows the events table has, by hour (ts / 3600000) and in all, so that statistics never scan it. Whoever adds
-- or removes events keeps both in the same transaction.
CREATE TABLE event_hours (
  hour     INTEGER NOT NULL,
  type     INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (hour, type, severity)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_totals (
  type     INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (type, severity)
) STRICT, WITHOUT ROWID;
