-- The role that Grafana reads with: it can SELECT what the dashboards show and nothing else. It can
-- read no prompts, no answers, no search texts and no metadata: who edits dashboards can't see what
-- people said.
--
--   SPANLEDGER_READER_PASSWORD=… psql -f config/grafana/reader.sql "$SPANLEDGER_STORE_URL"
--
-- Run it as the owner of the tables (or a superuser) once Spanledger has made them; run it again
-- after an upgrade, or to change the password. Needs psql 15.
\getenv password SPANLEDGER_READER_PASSWORD
\set ON_ERROR_STOP on
\if :{?password}
  SELECT :'password' = '' AS missing \gset
\else
  \set missing on
\endif
\if :missing
  DO $$ BEGIN RAISE EXCEPTION 'SPANLEDGER_READER_PASSWORD is not set'; END $$;
\endif

BEGIN;
SELECT 'CREATE ROLE spanledger_reader' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'spanledger_reader') \gexec
ALTER ROLE spanledger_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password'
    CONNECTION LIMIT 10;
ALTER ROLE spanledger_reader SET default_transaction_read_only = on;
-- A dashboard over a year must not hold the ledger up.
ALTER ROLE spanledger_reader SET statement_timeout = '30s';

GRANT USAGE ON SCHEMA public TO spanledger_reader;
-- The ledger, but for prompt, system_prompt, response, metadata, error_context and tags.
GRANT SELECT (id, trace_id, span_id, parent_span_id, parent_call_id, call_type, operation, status,
    counted, not_counted_why, provider, model, response_model, prompt_length, response_length,
    temperature, top_p, max_tokens, reasoning_level, finish_reason, streamed, prompt_tokens,
    completion_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    audio_seconds, estimated_cost, reported_cost, price_rule, price_version, latency_ms, ttft_ms,
    started_at, completed_at, error_type, error_message, error_severity, retry_count, user_id,
    user_hash, session_id, task_id, company_id, review_id, meeting_id, agenda_id, request_id,
    collection_name, experiment, variant, service_name, environment, dialect, created_at)
    ON llm_calls TO spanledger_reader;
-- But for error_context.
GRANT SELECT (id, trace_id, span_id, recording_id, task_id, event_type, chunk_index, total_chunks,
    started_at, completed_at, duration_seconds, audio_duration_seconds, audio_file_size_bytes,
    transcript_length, word_count, provider, model, language, estimated_cost, error_type,
    error_message, service_name, created_at)
    ON stt_logs TO spanledger_reader;
-- But for query.
GRANT SELECT (trace_id, span_id, parent_span_id, db_system, collection_name, top_k, hits,
    best_score, score_kind, scores, rerank_enabled, rerank_model, counted, latency_ms, status,
    error_type, session_id, service_name, started_at, created_at)
    ON retrievals TO spanledger_reader;
GRANT SELECT ON cache_lookups, json_parses, pipeline_requests, chat_sessions, chat_statistics
    TO spanledger_reader;
-- But for row.
GRANT SELECT (trace_id, span_id, id, table_name, reason, created_at)
    ON dead_letters TO spanledger_reader;
COMMIT;
