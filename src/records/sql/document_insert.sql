INSERT INTO documents (collection_id, id, body, version, created_at, updated_at)
VALUES (?1, ?2, ?3, 1, ?4, ?4)
