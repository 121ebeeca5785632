SELECT at, id, coalesce(ts, at >> 20) AS ts, received, type, severity, assessed, class, group_id, occurrences, user_id,
       ip, path, request_id, source, release, environment, message, body
FROM events
