SELECT type, severity, group_id, id, coalesce(ts, at >> 20), received, assessed, class, occurrences, user_id,
       ip, path, request_id, source, release, environment, message, body
FROM events
