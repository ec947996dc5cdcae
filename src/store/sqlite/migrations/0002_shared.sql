-- When a lane last wrote, as in Postgres.
ALTER TABLE spool_checkpoints ADD COLUMN updated_at TEXT;
