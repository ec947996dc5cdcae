-- Span tables are partitioned by day of started_at: retention drops partitions, it never deletes.
-- Rows of days without a partition of their own go to the default one. Every key begins with
-- trace_id, there is no serial and no trigger: Citus can distribute them as they are. BRIN finds
-- time ranges at a thousandth of a B-tree's cost.

-- One row a span that is, or wraps, a model call. `counted` marks the one that stands for it.
CREATE TABLE llm_calls (
    id text NOT NULL,
    trace_id text NOT NULL,
    span_id text NOT NULL,
    parent_span_id text,
    parent_call_id text,
    call_type text NOT NULL,
    operation text,
    status text NOT NULL,
    counted boolean NOT NULL,
    not_counted_why text,
    provider text,
    model text,
    response_model text,
    prompt text,
    system_prompt text,
    response text,
    prompt_length bigint,
    response_length bigint,
    temperature double precision,
    top_p double precision,
    max_tokens bigint,
    reasoning_level text,
    finish_reason text,
    streamed boolean,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint,
    reasoning_tokens bigint,
    audio_seconds double precision,
    estimated_cost numeric,
    reported_cost numeric,
    price_rule text,
    price_version text,
    latency_ms double precision,
    ttft_ms double precision,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    error_type text,
    error_message text,
    error_severity text,
    error_context jsonb,
    retry_count bigint,
    user_id text,
    user_hash text,
    session_id text,
    task_id text,
    company_id text,
    review_id text,
    meeting_id text,
    agenda_id text,
    request_id text,
    collection_name text,
    experiment text,
    variant text,
    service_name text,
    environment text,
    dialect text,
    metadata jsonb,
    tags jsonb,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE llm_calls_default PARTITION OF llm_calls DEFAULT;
CREATE INDEX llm_calls_started_at ON llm_calls USING brin (started_at);

-- One row an event of a transcription; `complete` and `error` end one.
CREATE TABLE stt_logs (
    id text NOT NULL,
    trace_id text NOT NULL,
    span_id text NOT NULL,
    recording_id text,
    task_id text,
    event_type text NOT NULL,
    chunk_index bigint,
    total_chunks bigint,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    duration_seconds double precision,
    audio_duration_seconds double precision,
    audio_file_size_bytes bigint,
    transcript_length bigint,
    word_count bigint,
    provider text,
    model text,
    language text,
    estimated_cost numeric,
    error_type text,
    error_message text,
    error_context jsonb,
    service_name text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE stt_logs_default PARTITION OF stt_logs DEFAULT;
CREATE INDEX stt_logs_started_at ON stt_logs USING brin (started_at);

-- One row a vector search or rerank.
CREATE TABLE retrievals (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    parent_span_id text,
    query text,
    db_system text,
    collection_name text,
    top_k bigint,
    hits bigint,
    best_score double precision,
    score_kind text,
    scores jsonb,
    rerank_enabled boolean,
    rerank_model text,
    counted boolean NOT NULL,
    latency_ms double precision,
    status text NOT NULL,
    error_type text,
    session_id text,
    service_name text,
    started_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE retrievals_default PARTITION OF retrievals DEFAULT;
CREATE INDEX retrievals_started_at ON retrievals USING brin (started_at);

-- One row a look into a cache.
CREATE TABLE cache_lookups (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    cache text NOT NULL,
    key_hash text,
    hit boolean NOT NULL,
    started_at timestamptz NOT NULL,
    service_name text,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE cache_lookups_default PARTITION OF cache_lookups DEFAULT;
CREATE INDEX cache_lookups_started_at ON cache_lookups USING brin (started_at);

-- One row a parse of a model's answer.
CREATE TABLE json_parses (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    success boolean NOT NULL,
    repaired boolean,
    fallback boolean,
    error_type text,
    latency_ms double precision,
    started_at timestamptz NOT NULL,
    service_name text,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE json_parses_default PARTITION OF json_parses DEFAULT;
CREATE INDEX json_parses_started_at ON json_parses USING brin (started_at);

-- One row a request, as its root span saw it; stage times, tokens and cost are sums of what counts below it.
CREATE TABLE pipeline_requests (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    pipeline text,
    framework text,
    status text NOT NULL,
    matched boolean,
    match_count bigint,
    confidence double precision,
    fallback boolean,
    retry_count bigint,
    timed_out boolean,
    regenerated boolean,
    latency_ms double precision,
    embedding_ms double precision,
    vector_search_ms double precision,
    rerank_ms double precision,
    llm_ms double precision,
    json_parsing_ms double precision,
    stt_ms double precision,
    tokens bigint,
    cost numeric,
    user_id text,
    session_id text,
    request_id text,
    experiment text,
    variant text,
    service_name text,
    error_type text,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE pipeline_requests_default PARTITION OF pipeline_requests DEFAULT;
CREATE INDEX pipeline_requests_started_at ON pipeline_requests USING brin (started_at);

-- The two-events-a-call shape that meeting apps log themselves: a start, then complete or error.
CREATE VIEW llm_logs AS
SELECT meeting_id, agenda_id, task_id, 'start' AS event_type,
       coalesce(operation, call_type) AS operation, provider, model,
       CAST(NULL AS bigint) AS prompt_tokens, prompt_length,
       CAST(NULL AS bigint) AS completion_tokens, CAST(NULL AS bigint) AS response_length,
       started_at, CAST(NULL AS timestamptz) AS completed_at, CAST(NULL AS double precision) AS duration_seconds,
       CAST(NULL AS numeric) AS estimated_cost_usd, CAST(NULL AS text) AS error_type,
       CAST(NULL AS text) AS error_message, CAST(NULL AS jsonb) AS error_context, created_at
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
    session_id text NOT NULL PRIMARY KEY,
    user_id text,
    service_name text,
    started_at timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL,
    message_count bigint NOT NULL,
    total_tokens bigint,
    total_cost numeric
);

CREATE TABLE chat_statistics (
    hour timestamptz NOT NULL,
    service_name text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    prompt_tokens bigint,
    completion_tokens bigint,
    cost numeric,
    latency_ms_sum double precision,
    PRIMARY KEY (hour, service_name, provider, model)
);

CREATE TABLE conversations (
    conversation_id text NOT NULL PRIMARY KEY,
    session_id text,
    user_id text,
    title text,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE messages (
    conversation_id text NOT NULL,
    position bigint NOT NULL,
    role text NOT NULL,
    content text,
    trace_id text,
    span_id text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, position)
);

-- Ours from here on. How far each lane of each spool has come: written with the rows it covers.
CREATE TABLE spool_checkpoints (
    spool_id text NOT NULL,
    lane text NOT NULL,
    segment bigint NOT NULL,
    byte_offset bigint NOT NULL,
    PRIMARY KEY (spool_id, lane)
);

-- Spans without rows that tie rows together, so that counting survives a restart.
CREATE TABLE span_links (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    parent_span_id text,
    started_at timestamptz NOT NULL,
    role text NOT NULL,
    user_id text,
    user_hash text,
    session_id text,
    task_id text,
    company_id text,
    review_id text,
    meeting_id text,
    agenda_id text,
    request_id text,
    collection_name text,
    experiment text,
    variant text,
    environment text,
    recording_id text,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE span_links_default PARTITION OF span_links DEFAULT;
CREATE INDEX span_links_started_at ON span_links USING brin (started_at);

-- Content that came in a log event before its call did.
CREATE TABLE pending_content (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    received_at timestamptz NOT NULL,
    prompt text,
    system_prompt text,
    response text,
    finish_reason text,
    prompt_tokens bigint,
    completion_tokens bigint,
    total_tokens bigint,
    PRIMARY KEY (trace_id, span_id)
);

-- Rows that the store refused, whole, with the reason. `id` is the row's own, where it has one: a
-- span may have several events.
CREATE TABLE dead_letters (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    id text NOT NULL,
    table_name text NOT NULL,
    reason text NOT NULL,
    "row" jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, id, table_name)
);
