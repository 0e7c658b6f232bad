-- The catalog, by package catalog. catalog_state is one row: revision goes up
-- by one with each change of what readers can see, rebuilt is the revision of
-- the last change that took entities away, so that caches of other processes
-- know when a list of changed entities is not enough.
CREATE TABLE catalog_state (
    id       BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL,
    rebuilt  BIGINT NOT NULL
);
INSERT INTO catalog_state (id, revision, rebuilt) VALUES (1, 0, 0);

-- Where entities are read from. sources is what the last refresh saw of each
-- document (JSON: target to validator), error the first problem (JSON).
CREATE TABLE locations (
    id           TEXT    PRIMARY KEY,
    type         TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    error        TEXT    NOT NULL,
    sources      TEXT    NOT NULL,
    entities     BIGINT  NOT NULL,
    failures     BIGINT  NOT NULL,
    managed      BOOLEAN NOT NULL,
    created_at   {{.Timestamp}} NOT NULL,
    refreshed_at {{.Timestamp}},
    next_at      {{.Timestamp}} NOT NULL,
    UNIQUE (type, target)
);
CREATE INDEX locations_due ON locations (next_at);

-- Entities as their last good document says. ref is canonical; kind, namespace
-- and name are spelled as in the document; doc is Backstage's JSON with
-- relations; extras is what a list shows beside the columns (JSON); hash is of
-- the document as it was read; words feeds the full text.
CREATE TABLE entities (
    id          {{.Identity}},
    ref         TEXT    NOT NULL UNIQUE,
    uid         TEXT    NOT NULL UNIQUE,
    kind        TEXT    NOT NULL,
    namespace   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    owner       TEXT    NOT NULL,
    lifecycle   TEXT    NOT NULL,
    title       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    extras      TEXT    NOT NULL,
    doc         TEXT    NOT NULL,
    etag        TEXT    NOT NULL,
    hash        TEXT    NOT NULL,
    location_id TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    orphan      BOOLEAN NOT NULL,
    revision    BIGINT  NOT NULL,
    updated_at  {{.Timestamp}} NOT NULL,
    words       TEXT    NOT NULL{{if eq .Dialect "postgres"}},
    search      tsvector GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED{{end}}
);
CREATE INDEX entities_location ON entities (location_id);
CREATE INDEX entities_revision ON entities (revision);

-- Edges as each entity's document declares them; origin is that entity, and
-- for half of its edges it is the target.
CREATE TABLE relations (
    origin TEXT NOT NULL,
    source TEXT NOT NULL,
    type   TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (source, type, target, origin)
);
CREATE INDEX relations_origin ON relations (origin);

-- The inverted index behind filters and facet counts. key and value are in
-- lower case; original is the value as written, where that differs.
CREATE TABLE facets (
    key       TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    entity_id BIGINT NOT NULL,
    original  TEXT,
    PRIMARY KEY (key, value, entity_id)
){{if eq .Dialect "sqlite"}} WITHOUT ROWID{{end}};
CREATE INDEX facets_entity ON facets (entity_id, key, value);

-- What is wrong, by location and, where known, by entity (canonical ref or "").
CREATE TABLE entity_errors (
    id          {{.Identity}},
    location_id TEXT NOT NULL,
    ref         TEXT NOT NULL,
    place       TEXT NOT NULL,
    message     TEXT NOT NULL,
    hint        TEXT NOT NULL,
    at          {{.Timestamp}} NOT NULL
);
CREATE INDEX entity_errors_location ON entity_errors (location_id);
CREATE INDEX entity_errors_ref ON entity_errors (ref);

{{if eq .Dialect "sqlite"}}
-- The full text of SQLite; rowid is entities.id.
CREATE VIRTUAL TABLE entities_fts USING fts5 (
    words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2', prefix='2 3'
);
{{else}}
CREATE INDEX entities_search ON entities USING gin (search);
{{end}}
