-- What instances keep, by package kv. The host reads and counts; plugins see
-- their own instance only. size is the length of key and value in bytes.
CREATE TABLE kv (
    instance   TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    value      {{.Bytes}} NOT NULL,
    size       BIGINT NOT NULL,
    expires_at {{.Timestamp}},
    PRIMARY KEY (instance, key)
);
CREATE INDEX kv_expiry ON kv (expires_at) WHERE expires_at IS NOT NULL;

-- Jobs that were decided in a tenant's transaction and wait to be handed to
-- the job queue, by package store (Enqueue, Relay). leased_until is set while
-- a relay is handing the row over; a later relay takes it up again after that.
CREATE TABLE outbox (
    id           {{.Identity}},
    kind         TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    args         {{.JSON}} NOT NULL,
    run_at       {{.Timestamp}},
    leased_until {{.Timestamp}},
    UNIQUE (kind, key)
);
