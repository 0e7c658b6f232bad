-- A token that was made with another one ends with it.

-- The token that it was made with; empty where a person or an operator made it.
ALTER TABLE tokens ADD COLUMN parent_id TEXT NOT NULL DEFAULT '';

CREATE INDEX tokens_by_parent ON tokens (parent_id);
