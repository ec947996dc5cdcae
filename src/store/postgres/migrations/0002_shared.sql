-- When a lane last wrote: tells whether several processes share this store.
ALTER TABLE spool_checkpoints ADD COLUMN updated_at timestamptz;
