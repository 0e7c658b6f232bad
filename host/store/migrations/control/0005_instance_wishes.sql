-- An instance that was to be switched on when it was installed, and still
-- lacked something, is switched on as soon as it lacks nothing.
ALTER TABLE instances ADD COLUMN wanted BOOLEAN NOT NULL DEFAULT FALSE;
