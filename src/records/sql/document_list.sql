-- No row: no such collection. One row of nulls: nothing (more) in it. One collection at most fits the name, so
-- the rows come in the order of the primary key, without a sort.
SELECT d.id, d.version, d.created_at, d.updated_at, d.body
FROM collections AS c
LEFT JOIN documents AS d ON d.collection_id = c.id AND d.id > ?2
WHERE c.name = ?1
ORDER BY d.id
LIMIT ?3
