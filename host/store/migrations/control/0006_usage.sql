-- What calls of plugins used, by package ledger: for one tenant, plugin,
-- capability and outcome (code; empty is success) in one span of seconds that
-- begins at starts_at. Hosts add to the rows of the hour; hours become days
-- when they are old. Rows of a minute exist for plugins with a quota.
CREATE TABLE plugin_usage (
    tenant_id    TEXT   NOT NULL,
    plugin       TEXT   NOT NULL,
    span         BIGINT NOT NULL,
    starts_at    {{.Timestamp}} NOT NULL,
    capability   TEXT   NOT NULL,
    code         TEXT   NOT NULL,
    calls        BIGINT NOT NULL,
    fuel         BIGINT NOT NULL,
    wall_nanos   BIGINT NOT NULL,
    wait_nanos   BIGINT NOT NULL,
    input_bytes  BIGINT NOT NULL,
    output_bytes BIGINT NOT NULL,
    host_calls   BIGINT NOT NULL,
    host_bytes   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, plugin, span, starts_at, capability, code)
);
CREATE INDEX plugin_usage_age ON plugin_usage (span, starts_at);

-- Up to which batch each host's counters are in plugin_usage: a batch that may
-- or may not have been written can be tried again.
CREATE TABLE plugin_usage_writers (
    host       TEXT   NOT NULL PRIMARY KEY,
    batch      BIGINT NOT NULL,
    updated_at {{.Timestamp}} NOT NULL
);

-- How much of a plugin a tenant may use; 0 is no bound. source is who set it:
-- "tenant" or "operator".
CREATE TABLE plugin_quotas (
    tenant_id        TEXT   NOT NULL,
    plugin           TEXT   NOT NULL,
    source           TEXT   NOT NULL,
    calls_per_minute BIGINT NOT NULL,
    fuel_per_day     BIGINT NOT NULL,
    updated_at       {{.Timestamp}} NOT NULL,
    PRIMARY KEY (tenant_id, plugin, source)
);

-- Which host services, and which targets of theirs, a plugin really used for a
-- tenant, and when last: what grants can be narrowed to.
CREATE TABLE plugin_evidence (
    tenant_id    TEXT   NOT NULL,
    plugin       TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    target       TEXT   NOT NULL,
    uses         BIGINT NOT NULL,
    last_used_at {{.Timestamp}} NOT NULL,
    PRIMARY KEY (tenant_id, plugin, service, target)
);

-- What an admin changed of an instance's limits and failure policies, whether
-- it stays at its digest, and the state and reason that stopped it. Of an
-- upgrade: when it was, and the snapshot of the plugin's tables before it.
ALTER TABLE instances ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
ALTER TABLE instances ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE instances ADD COLUMN halted TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN halt_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN snapshot TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN upgraded_at {{.Timestamp}};
