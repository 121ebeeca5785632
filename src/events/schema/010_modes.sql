-- Who chose how a source's events are grouped, and when (milliseconds since the epoch); NULL for choices of before.
ALTER TABLE group_modes ADD COLUMN actor TEXT;
ALTER TABLE group_modes ADD COLUMN at    INTEGER;
