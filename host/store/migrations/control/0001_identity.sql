-- Who is who: tenants, their people, and the credentials that stand for them.
-- Of every credential only its SHA-256 is kept.

CREATE TABLE tenants (
  id         TEXT PRIMARY KEY,
  slug       TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  demo       BOOLEAN NOT NULL DEFAULT FALSE,
  -- creating, ready, deleting; deleted rows stay as proof, without their name.
  state      TEXT NOT NULL,
  created_at {{.Timestamp}} NOT NULL,
  deleted_at {{.Timestamp}}
);

CREATE TABLE users (
  id            TEXT PRIMARY KEY,
  tenant_id     TEXT NOT NULL REFERENCES tenants (id),
  email         TEXT NOT NULL,
  name          TEXT NOT NULL,
  role          TEXT NOT NULL,
  -- argon2id in PHC form; empty where the user has no password.
  password      TEXT NOT NULL DEFAULT '',
  entity_ref    TEXT NOT NULL DEFAULT '',
  disabled      BOOLEAN NOT NULL DEFAULT FALSE,
  created_at    {{.Timestamp}} NOT NULL,
  last_login_at {{.Timestamp}},
  UNIQUE (tenant_id, email)
);

CREATE TABLE tokens (
  id           TEXT PRIMARY KEY,
  tenant_id    TEXT NOT NULL REFERENCES tenants (id),
  -- The user whose token it is; empty for one that an operator made.
  user_id      TEXT NOT NULL DEFAULT '',
  label        TEXT NOT NULL,
  role         TEXT NOT NULL,
  -- Space-separated scopes; empty means all that the role allows.
  scopes       TEXT NOT NULL DEFAULT '',
  hash         {{.Bytes}} NOT NULL UNIQUE,
  created_at   {{.Timestamp}} NOT NULL,
  expires_at   {{.Timestamp}},
  last_used_at {{.Timestamp}},
  revoked_at   {{.Timestamp}}
);

CREATE INDEX tokens_by_tenant ON tokens (tenant_id, user_id);

CREATE TABLE sessions (
  id         TEXT PRIMARY KEY,
  tenant_id  TEXT NOT NULL REFERENCES tenants (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  -- How the user signed in: password, link.
  method     TEXT NOT NULL,
  hash       {{.Bytes}} NOT NULL UNIQUE,
  created_at {{.Timestamp}} NOT NULL,
  seen_at    {{.Timestamp}} NOT NULL,
  expires_at {{.Timestamp}} NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE login_links (
  id         TEXT PRIMARY KEY,
  tenant_id  TEXT NOT NULL REFERENCES tenants (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  hash       {{.Bytes}} NOT NULL UNIQUE,
  created_at {{.Timestamp}} NOT NULL,
  expires_at {{.Timestamp}} NOT NULL,
  used_at    {{.Timestamp}}
);

CREATE INDEX login_links_by_user ON login_links (user_id);

-- Audit records of changes in this database, written with the change and moved
-- to the tenant's own chain right after it.
CREATE TABLE audit_pending (
  id        TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  -- When it happened; the record tells the rest.
  at        {{.Timestamp}} NOT NULL,
  record    {{.JSON}} NOT NULL
);

CREATE INDEX audit_pending_by_tenant ON audit_pending (tenant_id, at);
