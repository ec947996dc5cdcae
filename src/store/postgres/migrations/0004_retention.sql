-- Days of rows that came long after their spans started, and when the last of them came: these
-- rows are in the default partitions, unless their day had one of its own.
CREATE TABLE far_days (
    day date NOT NULL PRIMARY KEY,
    came_at timestamptz NOT NULL
);
INSERT INTO far_days (day, came_at)
SELECT day, now() FROM (
    SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM llm_calls_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM stt_logs_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM retrievals_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM cache_lookups_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM json_parses_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM pipeline_requests_default
    UNION SELECT CAST(started_at AT TIME ZONE 'UTC' AS date) FROM span_links_default
) AS days (day);

-- One row: what the clock showed when retention last looked, and since when it has run evenly.
CREATE TABLE retention_clock (
    one boolean NOT NULL PRIMARY KEY CHECK (one),
    seen_at timestamptz NOT NULL,
    even_since timestamptz NOT NULL
);
