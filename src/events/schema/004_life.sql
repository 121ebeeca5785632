-- What a group is over time. Hours, users and releases are counted for the group that an event's row names, so that uniting
-- and parting groups moves none of them: whoever reads them reads those of a group and of the ones it swallowed. What a
-- list is sorted by stands in the row of the group that is left.
ALTER TABLE groups ADD COLUMN muted_until INTEGER;
ALTER TABLE groups ADD COLUMN users       INTEGER NOT NULL DEFAULT 0;

-- One index a status and order of the list; swallowed groups are in none.
CREATE INDEX groups_by_last_seen  ON groups (status, last_seen)  WHERE parent IS NULL;
CREATE INDEX groups_by_first_seen ON groups (status, first_seen) WHERE parent IS NULL;
CREATE INDEX groups_by_events     ON groups (status, count)      WHERE parent IS NULL;
CREATE INDEX groups_by_users      ON groups (status, users)      WHERE parent IS NULL;
CREATE INDEX groups_by_severity   ON groups (status, severity)   WHERE parent IS NULL;
CREATE INDEX groups_by_kind      ON groups (type, severity, status) WHERE parent IS NULL;
CREATE INDEX groups_by_source     ON groups (source)             WHERE parent IS NULL;
CREATE INDEX groups_regressed     ON groups (regressed_at)       WHERE regressed_at IS NOT NULL;
CREATE INDEX groups_muted_until   ON groups (muted_until)        WHERE muted_until IS NOT NULL;

-- Of resolved and muted groups alone. since: when a hand did it; what happened before changes nothing. rule: 0 any event
-- reopens, 1 one of the release or a later one, 2 one of a later one. more, span: muted until so many events came (within
-- so many milliseconds); seen: how many came; times: when the last of them came, 64-bit little endian.
CREATE TABLE group_life (
  group_id INTEGER PRIMARY KEY,
  since    INTEGER NOT NULL,
  rule     INTEGER NOT NULL DEFAULT 0,
  release  TEXT,
  more     INTEGER,
  span     INTEGER,
  seen     INTEGER NOT NULL DEFAULT 0,
  times    BLOB
) STRICT;

-- Who did what when; actor is NULL where the events did it. detail is JSON.
CREATE TABLE group_history (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  action   TEXT    NOT NULL,
  actor    TEXT,
  reason   TEXT,
  detail   TEXT
) STRICT;
CREATE INDEX group_history_by_group ON group_history (group_id);

CREATE TABLE group_hours (
  group_id INTEGER NOT NULL,
  hour     INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (group_id, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_users (
  group_id INTEGER NOT NULL,
  user     TEXT    NOT NULL,
  PRIMARY KEY (group_id, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_releases (
  group_id   INTEGER NOT NULL,
  release    TEXT    NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen  INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  PRIMARY KEY (group_id, release)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_releases_by_release ON group_releases (release);

-- The order in which a source's releases first appeared; '' is the source of events that name none.
CREATE TABLE releases (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  source  TEXT NOT NULL,
  release TEXT NOT NULL,
  UNIQUE (source, release)
) STRICT;

-- The words of the titles.
CREATE VIRTUAL TABLE group_text USING fts5 (
  text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER groups_added AFTER INSERT ON groups BEGIN
  INSERT INTO group_text (rowid, text) VALUES (new.id, new.title);
END;
CREATE TRIGGER groups_renamed AFTER UPDATE OF title ON groups WHEN old.title <> new.title BEGIN
  DELETE FROM group_text WHERE rowid = new.id;
  INSERT INTO group_text (rowid, text) VALUES (new.id, new.title);
END;
-- Nothing of a removed group is left.
CREATE TRIGGER groups_removed AFTER DELETE ON groups BEGIN
  DELETE FROM group_text     WHERE rowid    = old.id;
  DELETE FROM group_life     WHERE group_id = old.id;
  DELETE FROM group_history  WHERE group_id = old.id;
  DELETE FROM group_hours    WHERE group_id = old.id;
  DELETE FROM group_users    WHERE group_id = old.id;
  DELETE FROM group_releases WHERE group_id = old.id;
END;

INSERT INTO group_text (rowid, text) SELECT id, title FROM groups;
INSERT INTO group_hours (group_id, hour, count)
SELECT group_id, ((at >> 20) - (((at >> 20) % 3600000) + 3600000) % 3600000) / 3600000, count(*) FROM events GROUP BY 1, 2;
INSERT INTO group_users (group_id, user)
SELECT group_id, user FROM (
  SELECT group_id, CAST(user_id AS TEXT) AS user, row_number() OVER (PARTITION BY group_id) AS n
  FROM events WHERE user_id IS NOT NULL GROUP BY group_id, CAST(user_id AS TEXT)
) WHERE n <= 1000;
INSERT INTO group_releases (group_id, release, first_seen, last_seen, count)
SELECT group_id, release, first_seen, last_seen, count FROM (
  SELECT group_id, release, min(coalesce(ts, at >> 20)) AS first_seen, max(coalesce(ts, at >> 20)) AS last_seen,
         count(*) AS count, row_number() OVER (PARTITION BY group_id ORDER BY max(at) DESC) AS n
  FROM events WHERE release IS NOT NULL GROUP BY group_id, release
) WHERE n <= 100;
INSERT INTO releases (source, release)
SELECT coalesce(source, ''), release FROM events WHERE release IS NOT NULL GROUP BY 1, 2 ORDER BY min(at);
UPDATE groups SET users = (SELECT count(*) FROM group_users WHERE group_id = groups.id);
