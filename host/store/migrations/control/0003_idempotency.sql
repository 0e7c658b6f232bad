-- Answers of unsafe requests that carried an Idempotency-Key, for a day.
-- The key's owner is tenant and principal; a row without a status is a request
-- that is being carried out.

CREATE TABLE replays (
  tenant_id   TEXT NOT NULL,
  principal   TEXT NOT NULL,
  key         TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status      BIGINT NOT NULL DEFAULT 0,
  kept        BOOLEAN NOT NULL DEFAULT FALSE,
  header      {{.JSON}},
  body        {{.Bytes}},
  claimed_at  {{.Timestamp}} NOT NULL,
  expires_at  {{.Timestamp}} NOT NULL,
  PRIMARY KEY (tenant_id, principal, key)
);

CREATE INDEX replays_by_expiry ON replays (expires_at);
