-- A number and a text are bound apart, because a user's id keeps its own type.
INSERT INTO events
  (at, id, ts, received, type, severity, assessed, class, group_id, user_id,
   ip, path, request_id, source, release, environment, message, body, occurrences, stored)
VALUES
  (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, coalesce(?10, ?11),
   ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
ON CONFLICT (id) DO NOTHING
