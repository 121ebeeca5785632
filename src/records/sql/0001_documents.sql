-- Times are milliseconds since the epoch. `documents` in collections is the number of its documents, kept by
-- every insert and delete in the same transaction, so that counting costs nothing.
CREATE TABLE collections (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  documents  INTEGER NOT NULL DEFAULT 0 CHECK (documents >= 0)
) STRICT;

-- One b-tree lookup a read. The body has the document's own members only; answers put the reserved ones before
-- it as text, which is sound because of the CHECK: valid JSON that begins with a brace is an object.
CREATE TABLE documents (
  collection_id INTEGER NOT NULL REFERENCES collections (id),
  id            TEXT    NOT NULL,
  body          TEXT    NOT NULL CHECK (substr(body, 1, 1) = '{' AND json_valid(body)),
  version       INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  PRIMARY KEY (collection_id, id)
) STRICT, WITHOUT ROWID;
