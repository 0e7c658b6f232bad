-- What instances of plugins keep in tables (table/v1), by package table. space
-- is the instance, or "instance@snapshot". tbl is the number of a table; under
-- 0 stand the form of the tables and how much they hold. id (the primary key)
-- and doc are values in their stored form, whose bytes sort as the values do.
CREATE TABLE plugin_rows (
    space TEXT   NOT NULL,
    tbl   BIGINT NOT NULL,
    id    {{.Bytes}} NOT NULL,
    doc   {{.Bytes}} NOT NULL,
    PRIMARY KEY (space, tbl, id)
);

-- The entries of their indexes: key is what is looked up, id the row that it
-- leads to. A key that may be there twice ends with id.
CREATE TABLE plugin_keys (
    space TEXT   NOT NULL,
    idx   BIGINT NOT NULL,
    key   {{.Bytes}} NOT NULL,
    id    {{.Bytes}} NOT NULL,
    PRIMARY KEY (space, idx, key)
){{if eq .Dialect "sqlite"}} WITHOUT ROWID{{end}};

-- What instances keep as objects (blob/v1), by package blob: the row of part -1
-- tells about the object, the others name its chunks by their digests, in
-- order. The bytes are with the blob driver.
CREATE TABLE blobs (
    instance TEXT   NOT NULL,
    key      TEXT   NOT NULL,
    part     BIGINT NOT NULL,
    digest   {{.Bytes}} NOT NULL,
    size     BIGINT NOT NULL,
    etag     TEXT   NOT NULL,
    type     TEXT   NOT NULL,
    modified {{.Timestamp}} NOT NULL,
    PRIMARY KEY (instance, key, part)
);
CREATE INDEX blobs_heads ON blobs (instance, key) WHERE part = -1;
CREATE INDEX blobs_digests ON blobs (instance, digest);
