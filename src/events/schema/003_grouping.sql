-- parent: the group that swallowed this one; it is never itself swallowed, so that one step finds the end. version: of the
-- rules that made the group. apart: a hand took it out of another; the engine never unites it again.
ALTER TABLE groups ADD COLUMN parent   INTEGER;
ALTER TABLE groups ADD COLUMN version  INTEGER NOT NULL DEFAULT 1;
ALTER TABLE groups ADD COLUMN template TEXT    NOT NULL DEFAULT '';
ALTER TABLE groups ADD COLUMN apart    INTEGER NOT NULL DEFAULT 0;
UPDATE groups SET template = title;
CREATE INDEX groups_by_parent ON groups (parent) WHERE parent IS NOT NULL;

-- how: 0 made the group, 1 joined a wider template, 2 is a wider template, 3 is one that a hand undid: events still go to its
-- group, but nothing joins it. template is kept where how isn't 1, and with it its shape, a hash of everything but its words. at:
-- milliseconds since the epoch.
ALTER TABLE group_keys ADD COLUMN how      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE group_keys ADD COLUMN at       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE group_keys ADD COLUMN template TEXT;
ALTER TABLE group_keys ADD COLUMN shape    INTEGER;
CREATE INDEX group_keys_by_shape ON group_keys (shape) WHERE shape IS NOT NULL;
CREATE INDEX group_keys_by_group ON group_keys (group_id);

-- The words that were seen where a wider template (its key is hash) has a mask; variant is a hash of the word.
CREATE TABLE group_holes (
  hash     BLOB    NOT NULL CHECK (length(hash) = 16),
  variant  INTEGER NOT NULL,
  group_id INTEGER NOT NULL,
  class    INTEGER NOT NULL,
  PRIMARY KEY (hash, variant)
) STRICT, WITHOUT ROWID;

-- What united or parted groups, so that it can be shown and undone. what: 0 widened, 1 absorbed, 2 merged by hand, 3 split by
-- hand, 4 undone. undone: the change that undid this one.
CREATE TABLE group_changes (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  what     INTEGER NOT NULL,
  actor    TEXT,
  group_id INTEGER NOT NULL,
  hash     BLOB,
  template TEXT,
  variants INTEGER NOT NULL DEFAULT 0,
  undone   INTEGER
) STRICT;
CREATE INDEX group_changes_by_group ON group_changes (group_id);

-- The groups and keys that a change moved. A group has its parents before and after; a key (hash) has its groups.
CREATE TABLE group_moves (
  change_id INTEGER NOT NULL,
  group_id  INTEGER NOT NULL,
  hash      BLOB    NOT NULL DEFAULT x'',
  was       INTEGER,
  became    INTEGER,
  PRIMARY KEY (change_id, group_id, hash)
) STRICT, WITHOUT ROWID;

-- How a source's events are grouped: 0 learned, 1 exact, 2 fingerprint.
CREATE TABLE group_modes (source TEXT NOT NULL PRIMARY KEY, mode INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- A random number that changes with every change of the tables above, by which memory knows whether it is of this file's
-- state: a rolled-back transaction brings the old number back.
CREATE TABLE group_epoch (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO group_epoch VALUES (1, 0);
