-- Recorded calls of plugins, by package host/plugin/recording. body is sealed
-- with the tenant's key.
CREATE TABLE recordings (
    id         TEXT   NOT NULL PRIMARY KEY,
    instance   TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    capability TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    at         {{.Timestamp}} NOT NULL,
    size       BIGINT NOT NULL,
    fuel       BIGINT NOT NULL,
    failed     BOOLEAN NOT NULL,
    redacted   BIGINT NOT NULL,
    body       {{.Bytes}} NOT NULL
);
CREATE INDEX recordings_newest ON recordings (instance, at);

-- Which calls of an instance are recorded, where an admin said so.
CREATE TABLE recording_rules (
    instance     TEXT   NOT NULL PRIMARY KEY,
    per_million  BIGINT NOT NULL,
    keep_seconds BIGINT NOT NULL,
    most         BIGINT NOT NULL
);
