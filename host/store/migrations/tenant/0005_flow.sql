-- What plugins are to do later, by package work: jobs that they enqueued, and
-- events on their way to subscriptions. seq is the order in which they came;
-- ordering is the key within which events are brought one after the other, or
-- ''; unique_key is set where only one such item may wait or run. payload,
-- result and error are the plugin's. leased_until is set while somebody works
-- on the item; later it is taken up by somebody else.
CREATE TABLE work (
    seq          {{.Identity}},
    id           TEXT   NOT NULL UNIQUE,
    instance     TEXT   NOT NULL,
    lane         TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    topic        TEXT   NOT NULL,
    ordering     TEXT   NOT NULL,
    unique_key   TEXT,
    payload      {{.Bytes}} NOT NULL,
    state        TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    percent      BIGINT NOT NULL,
    note         TEXT   NOT NULL,
    result       {{.Bytes}} NOT NULL,
    error        TEXT   NOT NULL,
    created_at   {{.Timestamp}} NOT NULL,
    run_at       {{.Timestamp}} NOT NULL,
    leased_until {{.Timestamp}},
    ended_at     {{.Timestamp}}
);
CREATE INDEX work_open ON work (instance, lane, name, ordering, seq) WHERE state = 'waiting' OR state = 'running';
CREATE INDEX work_due ON work (run_at) WHERE state = 'waiting' OR state = 'running';
CREATE INDEX work_ended ON work (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX work_instance ON work (instance, lane, seq);
CREATE UNIQUE INDEX work_unique ON work (instance, lane, name, unique_key)
    WHERE unique_key IS NOT NULL AND (state = 'waiting' OR state = 'running');
