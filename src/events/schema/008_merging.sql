-- A search asks every segment of the text index, so their number is its price: four of a size are merged, not eight.
INSERT INTO event_text (event_text, rank) VALUES ('usermerge', 4);
