-- Which changes touched a group: those that moved it, and those that moved keys of it.
CREATE INDEX group_moves_by_group ON group_moves (group_id);
CREATE INDEX group_moves_by_was   ON group_moves (was) WHERE was IS NOT NULL;

-- When the group that was left of a union was first and last seen before it, milliseconds since the epoch; a group that
-- was swallowed keeps that in its own row. Such a group has a row of its own: was NULL, became itself. Of a union by the
-- rules, rows without a group that they became name the groups that the rules meant, where others stood for them then.
ALTER TABLE group_moves ADD COLUMN first_seen INTEGER;
ALTER TABLE group_moves ADD COLUMN last_seen  INTEGER;
