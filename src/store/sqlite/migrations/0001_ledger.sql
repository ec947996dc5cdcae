-- Times are RFC 3339 UTC text of one width, so that text sorts as time. Booleans are 0 and 1,
-- JSON is text, money is REAL in USD.

-- One row a span that is, or wraps, a model call. `counted` marks the one that stands for it.
CREATE TABLE llm_calls (
    id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    parent_call_id TEXT,
    call_type TEXT NOT NULL,
    operation TEXT,
    status TEXT NOT NULL,
    counted INTEGER NOT NULL CHECK (counted IN (0, 1)),
    not_counted_why TEXT,
    provider TEXT,
    model TEXT,
    response_model TEXT,
    prompt TEXT,
    system_prompt TEXT,
    response TEXT,
    prompt_length INTEGER,
    response_length INTEGER,
    temperature REAL,
    top_p REAL,
    max_tokens INTEGER,
    reasoning_level TEXT,
    finish_reason TEXT,
    streamed INTEGER CHECK (streamed IN (0, 1)),
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    audio_seconds REAL,
    estimated_cost REAL,
    reported_cost REAL,
    price_rule TEXT,
    price_version TEXT,
    latency_ms REAL,
    ttft_ms REAL,
    started_at TEXT NOT NULL,
    completed_at TEXT,
    error_type TEXT,
    error_message TEXT,
    error_severity TEXT,
    error_context TEXT,
    retry_count INTEGER,
    user_id TEXT,
    user_hash TEXT,
    session_id TEXT,
    task_id TEXT,
    company_id TEXT,
    review_id TEXT,
    meeting_id TEXT,
    agenda_id TEXT,
    request_id TEXT,
    collection_name TEXT,
    experiment TEXT,
    variant TEXT,
    service_name TEXT,
    environment TEXT,
    dialect TEXT,
    metadata TEXT,
    tags TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT;
CREATE INDEX llm_calls_started_at ON llm_calls (started_at);

-- One row an event of a transcription; `complete` and `error` end one.
CREATE TABLE stt_logs (
    id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    recording_id TEXT,
    task_id TEXT,
    event_type TEXT NOT NULL,
    chunk_index INTEGER,
    total_chunks INTEGER,
    started_at TEXT NOT NULL,
    completed_at TEXT,
    duration_seconds REAL,
    audio_duration_seconds REAL,
    audio_file_size_bytes INTEGER,
    transcript_length INTEGER,
    word_count INTEGER,
    provider TEXT,
    model TEXT,
    language TEXT,
    estimated_cost REAL,
    error_type TEXT,
    error_message TEXT,
    error_context TEXT,
    service_name TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (trace_id, id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX stt_logs_started_at ON stt_logs (started_at);

-- One row a vector search or rerank.
CREATE TABLE retrievals (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    query TEXT,
    db_system TEXT,
    collection_name TEXT,
    top_k INTEGER,
    hits INTEGER,
    best_score REAL,
    score_kind TEXT,
    scores TEXT,
    rerank_enabled INTEGER CHECK (rerank_enabled IN (0, 1)),
    rerank_model TEXT,
    counted INTEGER NOT NULL CHECK (counted IN (0, 1)),
    latency_ms REAL,
    status TEXT NOT NULL,
    error_type TEXT,
    session_id TEXT,
    service_name TEXT,
    started_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX retrievals_started_at ON retrievals (started_at);

-- One row a look into a cache.
CREATE TABLE cache_lookups (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    cache TEXT NOT NULL,
    key_hash TEXT,
    hit INTEGER NOT NULL CHECK (hit IN (0, 1)),
    started_at TEXT NOT NULL,
    service_name TEXT,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT, WITHOUT ROWID;

-- One row a parse of a model's answer.
CREATE TABLE json_parses (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    success INTEGER NOT NULL CHECK (success IN (0, 1)),
    repaired INTEGER CHECK (repaired IN (0, 1)),
    fallback INTEGER CHECK (fallback IN (0, 1)),
    error_type TEXT,
    latency_ms REAL,
    started_at TEXT NOT NULL,
    service_name TEXT,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT, WITHOUT ROWID;

-- One row a request, as its root span saw it; stage times, tokens and cost are sums of what counts below it.
CREATE TABLE pipeline_requests (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    pipeline TEXT,
    framework TEXT,
    status TEXT NOT NULL,
    matched INTEGER CHECK (matched IN (0, 1)),
    match_count INTEGER,
    confidence REAL,
    fallback INTEGER CHECK (fallback IN (0, 1)),
    retry_count INTEGER,
    timed_out INTEGER CHECK (timed_out IN (0, 1)),
    regenerated INTEGER CHECK (regenerated IN (0, 1)),
    latency_ms REAL,
    embedding_ms REAL,
    vector_search_ms REAL,
    rerank_ms REAL,
    llm_ms REAL,
    json_parsing_ms REAL,
    stt_ms REAL,
    tokens INTEGER,
    cost REAL,
    user_id TEXT,
    session_id TEXT,
    request_id TEXT,
    experiment TEXT,
    variant TEXT,
    service_name TEXT,
    error_type TEXT,
    started_at TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_requests_started_at ON pipeline_requests (started_at);

-- The two-events-a-call shape that meeting apps log themselves: a start, then complete or error.
CREATE VIEW llm_logs AS
SELECT meeting_id, agenda_id, task_id, 'start' AS event_type,
       coalesce(operation, call_type) AS operation, provider, model,
       CAST(NULL AS INTEGER) AS prompt_tokens, prompt_length,
       CAST(NULL AS INTEGER) AS completion_tokens, CAST(NULL AS INTEGER) AS response_length,
       started_at, CAST(NULL AS TEXT) AS completed_at, CAST(NULL AS REAL) AS duration_seconds,
       CAST(NULL AS REAL) AS estimated_cost_usd, CAST(NULL AS TEXT) AS error_type,
       CAST(NULL AS TEXT) AS error_message, CAST(NULL AS TEXT) AS error_context, created_at
  FROM llm_calls WHERE counted
UNION ALL
SELECT meeting_id, agenda_id, task_id,
       CASE WHEN status = 'success' THEN 'complete' ELSE 'error' END,
       coalesce(operation, call_type), provider, model, prompt_tokens, prompt_length,
       completion_tokens, response_length, started_at, completed_at, latency_ms / 1000.0,
       estimated_cost, error_type, error_message, error_context, created_at
  FROM llm_calls WHERE counted AND status <> 'pending';

-- Conversations and hourly rollups.
CREATE TABLE chat_sessions (
    session_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    service_name TEXT,
    started_at TEXT NOT NULL,
    last_activity_at TEXT NOT NULL,
    message_count INTEGER NOT NULL,
    total_tokens INTEGER,
    total_cost REAL
) STRICT;

CREATE TABLE chat_statistics (
    hour TEXT NOT NULL,
    service_name TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost REAL,
    latency_ms_sum REAL,
    PRIMARY KEY (hour, service_name, provider, model)
) STRICT;

CREATE TABLE conversations (
    conversation_id TEXT NOT NULL PRIMARY KEY,
    session_id TEXT,
    user_id TEXT,
    title TEXT,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
    conversation_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT,
    trace_id TEXT,
    span_id TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (conversation_id, position)
) STRICT;

-- Ours from here on. How far each lane of each spool has come: written with the rows it covers.
CREATE TABLE spool_checkpoints (
    spool_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    segment INTEGER NOT NULL,
    byte_offset INTEGER NOT NULL,
    PRIMARY KEY (spool_id, lane)
) STRICT;

-- Spans without rows that tie rows together, so that counting survives a restart.
CREATE TABLE span_links (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    started_at TEXT NOT NULL,
    role TEXT NOT NULL,
    user_id TEXT,
    user_hash TEXT,
    session_id TEXT,
    task_id TEXT,
    company_id TEXT,
    review_id TEXT,
    meeting_id TEXT,
    agenda_id TEXT,
    request_id TEXT,
    collection_name TEXT,
    experiment TEXT,
    variant TEXT,
    environment TEXT,
    recording_id TEXT,
    PRIMARY KEY (trace_id, span_id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_links_started_at ON span_links (started_at);

-- Content that came in a log event before its call did.
CREATE TABLE pending_content (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    received_at TEXT NOT NULL,
    prompt TEXT,
    system_prompt TEXT,
    response TEXT,
    finish_reason TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    PRIMARY KEY (trace_id, span_id)
) STRICT;

-- Rows that the store refused, whole, with the reason. `id` is the row's own, where it has one: a
-- span may have several events.
CREATE TABLE dead_letters (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    "row" TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (trace_id, id, table_name)
) STRICT;
