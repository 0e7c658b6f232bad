-- Releases of plugins, by the digest of their OCI manifest, by package plugin.
-- A row exists once the release's files are complete.
CREATE TABLE releases (
    digest      TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    source      TEXT   NOT NULL,
    readme      TEXT   NOT NULL,
    code_digest TEXT   NOT NULL,
    code_bytes  BIGINT NOT NULL,
    created_at  {{.Timestamp}} NOT NULL
);

-- The code of a release, compressed. It is a table of its own so that nothing
-- that lists releases reads it. Hosts keep a copy on disk and fetch it here
-- when they do not have it.
CREATE TABLE release_code (
    digest TEXT NOT NULL PRIMARY KEY,
    code   {{.Bytes}} NOT NULL
);

-- Releases enabled (or not yet) for a tenant. removing marks an instance whose
-- data are being deleted.
CREATE TABLE instances (
    id              TEXT    NOT NULL PRIMARY KEY,
    tenant_id       TEXT    NOT NULL,
    short           TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    digest          TEXT    NOT NULL,
    previous_digest TEXT    NOT NULL,
    pending_digest  TEXT    NOT NULL,
    enabled         BOOLEAN NOT NULL,
    consented       BOOLEAN NOT NULL,
    removing        BOOLEAN NOT NULL,
    config          TEXT    NOT NULL,
    grants          TEXT    NOT NULL,
    previous_grants TEXT    NOT NULL,
    previous_config TEXT    NOT NULL,
    secrets         TEXT    NOT NULL,
    revision        BIGINT  NOT NULL,
    installed_at    {{.Timestamp}} NOT NULL,
    updated_at      {{.Timestamp}} NOT NULL,
    UNIQUE (tenant_id, short)
);
CREATE INDEX instances_digest ON instances (digest);

-- How often a tenant's installations have changed.
CREATE TABLE installations (
    tenant_id TEXT   NOT NULL PRIMARY KEY,
    revision  BIGINT NOT NULL
);
