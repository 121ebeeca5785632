-- The rows of the text index have the complements of the events' places as their keys (~at), so that its ascending order is
-- that of lists, newest first. Descending, SQLite walks an index of pages backwards to get to where a list goes on, and
-- starts over for each page that it passes: that took longer the more events had the word.
DROP TRIGGER events_removed;
DROP TABLE event_text;
CREATE VIRTUAL TABLE event_text USING fts5 (
  text, terms,
  content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO event_text (event_text, rank) VALUES ('automerge', 0);
INSERT INTO event_text (event_text, rank) VALUES ('crisismerge', 1000);
INSERT INTO event_text (event_text, rank) VALUES ('usermerge', 4);

CREATE TRIGGER events_removed AFTER DELETE ON events BEGIN
  DELETE FROM event_text WHERE rowid = ~old.at AND NOT EXISTS (SELECT 1 FROM to_index WHERE at = old.at);
  DELETE FROM to_index WHERE at = old.at;
END;

-- It is made anew, after the start and beside everything else.
INSERT OR IGNORE INTO to_index SELECT at FROM events;
