-- The tenant's audit record: a chain in which each row seals the one before it.

CREATE TABLE audit (
  seq        BIGINT PRIMARY KEY,
  -- Names the record; a record that is delivered twice is written once.
  id         TEXT NOT NULL UNIQUE,
  at         {{.Timestamp}} NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id   TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  action     TEXT NOT NULL,
  resource   TEXT NOT NULL,
  -- JSON object of strings, kept byte for byte because it is sealed.
  detail     TEXT NOT NULL,
  prev       {{.Bytes}} NOT NULL,
  hash       {{.Bytes}} NOT NULL
);

-- The one row that says where the chain ends; its lock puts writers in a row.
CREATE TABLE audit_head (
  id   INTEGER PRIMARY KEY,
  seq  BIGINT NOT NULL,
  hash {{.Bytes}} NOT NULL,
  seal {{.Bytes}} NOT NULL
);

INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, 0, '', '');
