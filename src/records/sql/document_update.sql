UPDATE documents
SET body = ?3, version = ?4, updated_at = ?5
WHERE collection_id = ?1 AND id = ?2
