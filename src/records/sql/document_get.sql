-- No row: no such collection. A row of nulls: the collection has no such document.
SELECT c.id, d.version, d.created_at, d.updated_at, d.body
FROM collections AS c
LEFT JOIN documents AS d ON d.collection_id = c.id AND d.id = ?2
WHERE c.name = ?1
