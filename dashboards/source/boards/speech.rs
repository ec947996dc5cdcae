//! Speech to text.

use crate::dashboards::{
    board::Board,
    panel::{COUNT, FACTOR, HOURS, Panel, SECONDS, SHARE, USD, Unit, lines, stacked, stat, table},
    sql::{RANGE, speech},
};

const AUDIO_A_MINUTE: Unit = Unit("s", "seconds of audio a minute");

pub fn board() -> Board {
    Board::new(
        "speech",
        "Transcriptions: how many, how fast, what fails, what they cost.",
        "now-24h",
        "1m",
    )
    .row("Transcriptions", numbers())
    .row("Over time", over_time())
    .row("By model, language, error", breakdowns())
    .row("Recordings", recordings())
}

/// Of the rows that end a transcription.
fn ended(what: &str) -> String {
    format!(
        "SELECT {what} AS \"value\" FROM stt_logs WHERE {} AND event_type IN ('complete', 'error') \
         AND chunk_index IS NULL",
        speech(RANGE)
    )
}

fn numbers() -> Vec<Panel> {
    vec![
        stat("Done", "Recordings that were transcribed to the end.")
            .unit(COUNT)
            .rows(ended("count(*) FILTER (WHERE event_type = 'complete')")),
        stat("Failed", "Recordings that could not be transcribed.")
            .unit(COUNT)
            .rows(ended("count(*) FILTER (WHERE event_type = 'error')")),
        stat(
            "Error rate",
            "Share of the ended transcriptions that failed.",
        )
        .unit(SHARE)
        .goal("error_ratio")
        .rows(ended(
            "CAST(count(*) FILTER (WHERE event_type = 'error') AS double precision) \
             / nullif(count(*), 0)",
        )),
        stat("Audio", "Hours of audio in the done transcriptions.")
            .unit(HOURS)
            .decimals(1)
            .rows(ended(
                "sum(audio_duration_seconds) FILTER (WHERE event_type = 'complete') / 3600",
            )),
        stat(
            "Mean time",
            "Mean time from the start of a transcription to its end.",
        )
        .unit(SECONDS)
        .rows(ended(
            "avg(duration_seconds) FILTER (WHERE event_type = 'complete')",
        )),
        stat(
            "Real-time factor",
            "Seconds of work for a second of audio, over the done transcriptions. Under 1 keeps \
             up with speech.",
        )
        .unit(FACTOR)
        .decimals(3)
        .rows(ended(
            "sum(duration_seconds) FILTER (WHERE event_type = 'complete') \
             / nullif(sum(audio_duration_seconds) FILTER (WHERE event_type = 'complete'), 0)",
        )),
        stat("Cost", "Cost of the transcriptions, by the price table.")
            .unit(USD)
            .decimals(2)
            .more("cost")
            .rows(format!(
                "SELECT sum(estimated_cost) AS \"value\" FROM stt_logs WHERE {}",
                speech(RANGE)
            )),
        stat(
            "Words a minute",
            "Words in a minute of audio, over the done transcriptions that count them. Far from \
             60 to 200, the transcripts or the audio are off.",
        )
        .unit(COUNT)
        .rows(ended(
            "60 * sum(word_count) FILTER (WHERE event_type = 'complete') \
             / nullif(sum(audio_duration_seconds) FILTER (WHERE event_type = 'complete' \
             AND word_count IS NOT NULL), 0)",
        )),
    ]
}

fn over_time() -> Vec<Panel> {
    vec![
        stacked(
            "Audio by model",
            "Seconds of audio transcribed in a minute: the load.",
        )
        .unit(AUDIO_A_MINUTE)
        .prom(
            "{{model}}",
            "sum by (model) (rate(genai_stt_audio_seconds_total{model=~\"$model\"}\
             [$__rate_interval])) * 60",
        ),
        lines(
            "Real-time factor over time",
            "Seconds of work for a second of audio: half and 95 of 100 pieces stay under it. Over \
             1 falls behind live speech.",
        )
        .unit(FACTOR)
        .prom(
            "p50 {{model}}",
            "histogram_quantile(0.5, sum by (le, model) (rate(genai_stt_real_time_factor_bucket{\
             model=~\"$model\"}[$__rate_interval])))",
        )
        .prom(
            "p95 {{model}}",
            "histogram_quantile(0.95, sum by (le, model) (rate(genai_stt_real_time_factor_bucket{\
             model=~\"$model\"}[$__rate_interval])))",
        ),
        stacked("Events", "Events of transcriptions by type.")
            .unit(COUNT)
            .rows(format!(
                "SELECT $__timeGroupAlias(started_at,$__interval), event_type AS metric, \
                 count(*) AS events FROM stt_logs WHERE {} GROUP BY 1, 2 ORDER BY 1",
                speech(RANGE)
            )),
        lines(
            "Time of a chunk",
            "How long a chunk of audio takes: half of them, and 95 of 100, at most this long.",
        )
        .unit(SECONDS)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), \
             percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_seconds) AS \"p50\", \
             percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_seconds) AS \"p95\" \
             FROM stt_logs WHERE {} AND event_type = 'chunk_complete' GROUP BY 1 ORDER BY 1",
            speech(RANGE)
        )),
    ]
}

fn breakdowns() -> Vec<Panel> {
    vec![
        table(
            "By model",
            "done and failed count recordings. factor: seconds of work for a second of audio.",
        )
        .column("audio", SECONDS)
        .column("mean", SECONDS)
        .column("factor", FACTOR)
        .column("cost", USD)
        .column("cost an hour", USD)
        .rows(format!(
            "SELECT coalesce(provider, 'unknown') AS provider, coalesce(model, 'unknown') AS \
             model, count(*) FILTER (WHERE event_type = 'complete') AS done, \
             count(*) FILTER (WHERE event_type = 'error' AND chunk_index IS NULL) AS failed, \
             sum(audio_duration_seconds) FILTER (WHERE event_type = 'complete') AS audio, \
             avg(duration_seconds) FILTER (WHERE event_type = 'complete') AS mean, \
             sum(duration_seconds) FILTER (WHERE event_type = 'complete') / \
             nullif(sum(audio_duration_seconds) FILTER (WHERE event_type = 'complete'), 0) AS \
             factor, sum(estimated_cost) AS cost, CAST(sum(estimated_cost) AS double precision) \
             * 3600 / nullif(sum(audio_duration_seconds) FILTER (WHERE estimated_cost IS NOT \
             NULL), 0) AS \"cost an hour\" FROM stt_logs WHERE {} \
             GROUP BY 1, 2 ORDER BY audio DESC NULLS LAST LIMIT 50",
            speech(RANGE)
        )),
        table(
            "A day",
            "Done recordings by the day on which they were stored, UTC, as the meeting app's own \
             reports have it.",
        )
        .column("audio", SECONDS)
        .column("mean", SECONDS)
        .rows(format!(
            "SELECT CAST(date_trunc('day', created_at, 'UTC') AS date) AS day, \
             count(*) AS recordings, sum(audio_duration_seconds) AS audio, \
             avg(duration_seconds) AS mean FROM stt_logs WHERE {} AND event_type = 'complete' \
             GROUP BY 1 ORDER BY 1 DESC LIMIT 60",
            speech(RANGE)
        )),
        table("Errors", "What failed, by event, model and class of error.")
            .trace("trace")
            .rows(format!(
                "SELECT event_type AS event, coalesce(model, 'unknown') AS model, error_type AS \
                 error, count(*) AS events, max(started_at) AS last, max(trace_id) AS trace \
                 FROM stt_logs WHERE {} AND error_type IS NOT NULL \
                 GROUP BY 1, 2, 3 ORDER BY events DESC LIMIT 50",
                speech(RANGE)
            )),
        table(
            "Languages",
            "Chunks and starts of transcriptions by language.",
        )
        .column("audio", SECONDS)
        .rows(format!(
            "SELECT language, count(*) FILTER (WHERE event_type = 'start') AS recordings, \
                 count(*) FILTER (WHERE event_type = 'chunk_complete') AS chunks, \
                 sum(audio_duration_seconds) FILTER (WHERE event_type = 'chunk_complete') AS \
                 audio FROM stt_logs WHERE {} AND language IS NOT NULL \
                 GROUP BY 1 ORDER BY chunks DESC LIMIT 50",
            speech(RANGE)
        )),
    ]
}

fn recordings() -> Vec<Panel> {
    vec![
        table(
            "Latest recordings",
            "How each ended, with its chunks. A click on a trace opens it.",
        )
        .wide(24)
        .column("audio", SECONDS)
        .column("took", SECONDS)
        .column("cost", USD)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, min(started_at) AS started, \
             max(recording_id) AS recording, max(service_name) AS service, max(model) AS model, \
             max(event_type) FILTER (WHERE event_type IN ('complete', 'error')) AS ended, \
             count(*) FILTER (WHERE event_type = 'chunk_complete') AS \"chunks done\", \
             max(total_chunks) AS chunks, max(audio_duration_seconds) AS audio, \
             max(duration_seconds) AS took, sum(estimated_cost) AS cost, \
             max(error_type) AS error FROM stt_logs WHERE {} \
             GROUP BY trace_id ORDER BY started DESC LIMIT 50",
            speech(RANGE)
        )),
    ]
}
