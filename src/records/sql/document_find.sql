-- Like document_get, without the body, whose overflow pages a change does not need to read.
SELECT c.id, d.version, d.created_at
FROM collections AS c
LEFT JOIN documents AS d ON d.collection_id = c.id AND d.id = ?2
WHERE c.name = ?1
