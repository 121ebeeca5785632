-- Events leave: by retention, by a purge, by the erasure of a user. What a group's row and its hours, releases and users
-- tell is what was ever seen, and stays; removed is how many of the events that named this very group are gone. Those that
-- are kept are the count without it, added up over a group and the ones it swallowed, so that uniting and parting groups
-- moves nothing.
ALTER TABLE groups ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;

-- For groups that are removed: the words seen at their places go with them.
CREATE INDEX group_holes_by_group ON group_holes (group_id);

-- Receipts of removals on purpose, and where those that run are. kind: 0 purge, 1 erasure of a user, 2 one event. status: 0
-- running, 1 done, 2 failed, 3 cancelled. bound: events received later stay. token: of the preview that it confirms. asked:
-- what is shown, JSON. filter: what is looked for, JSON; NULL as soon as it has ended, because it may name a user. place:
-- what lies at or after it was gone through. tally: what left, JSON.
CREATE TABLE purges (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  kind     INTEGER NOT NULL,
  status   INTEGER NOT NULL DEFAULT 0,
  actor    TEXT    NOT NULL,
  reason   TEXT,
  began    INTEGER NOT NULL,
  ended    INTEGER,
  bound    INTEGER NOT NULL,
  token    TEXT    UNIQUE,
  asked    TEXT    NOT NULL,
  filter   TEXT,
  place    INTEGER NOT NULL,
  tally    TEXT    NOT NULL,
  groups   INTEGER NOT NULL DEFAULT 0,
  groups_removed INTEGER NOT NULL DEFAULT 0,
  error    TEXT
) STRICT;
CREATE INDEX purges_running ON purges (id) WHERE status = 0;

-- The groups whose events a running removal took; they are counted and looked after at its end.
CREATE TABLE purge_groups (
  purge_id INTEGER NOT NULL,
  group_id INTEGER NOT NULL,
  PRIMARY KEY (purge_id, group_id)
) STRICT, WITHOUT ROWID;

-- Users who were erased, by a keyed hash: events of theirs that happened or came in up to before are not taken in again
-- before ends. Milliseconds since the epoch.
CREATE TABLE erased_users (
  hash   BLOB    NOT NULL PRIMARY KEY,
  before INTEGER NOT NULL,
  ends   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_users_by_end ON erased_users (ends);
CREATE TABLE erased_users_key (one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL) STRICT;
INSERT INTO erased_users_key VALUES (1, randomblob(32));

-- Zeros that fill the file's free pages while those of an erasure are overwritten; empty otherwise.
CREATE TABLE wiped_pages (id INTEGER PRIMARY KEY, zeros BLOB NOT NULL) STRICT;
