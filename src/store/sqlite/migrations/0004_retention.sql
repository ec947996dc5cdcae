-- Days of rows that came long after their spans started, and when the last of them came.
CREATE TABLE far_days (
    day TEXT NOT NULL PRIMARY KEY,
    came_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: what the clock showed when retention last looked, and since when it has run evenly.
CREATE TABLE retention_clock (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one),
    seen_at TEXT NOT NULL,
    even_since TEXT NOT NULL
) STRICT;

-- Rows are found by their day, to let them go.
CREATE INDEX cache_lookups_started_at ON cache_lookups (started_at);
CREATE INDEX json_parses_started_at ON json_parses (started_at);
