//! Spanledger itself: does it take everything, keep everything, keep up?

use crate::dashboards::{
    board::Board,
    panel::{
        A_SECOND, AGO, BYTES, BYTES_A_SECOND, COUNT, DAYS, HOURS, OF_A_SECOND, ON, Panel, SECONDS,
        SHARE, lines, stacked, stat, table,
    },
    sql::RANGE,
};

pub fn board() -> Board {
    Board::new(
        "itself",
        "Spanledger itself: does it take everything, keep everything, keep up?",
        "now-3h",
        "15s",
    )
    .row("Now", now())
    .row("In", inwards())
    .row("Through", through())
    .row("Out", out())
    .row("The process", process())
    .row("What the numbers leave out", left_out())
}

fn now() -> Vec<Panel> {
    vec![
        stat("Up", "Instances that Prometheus reaches.")
            .unit(COUNT)
            .prom("up", "count(spanledger_store_up) or vector(0)"),
        stat(
            "Store",
            "1 if the store took the last call; the lowest of all instances. While it is down the \
             spool keeps everything.",
        )
        .unit(ON)
        .prom("store", "min(spanledger_store_up)"),
        stat(
            "Spool full",
            "How full the spool is, the fullest of all instances. A full spool refuses senders, \
             who try again.",
        )
        .unit(SHARE)
        .decimals(2)
        .goal("spool_fill_ratio")
        .prom(
            "full",
            "max(spanledger_spool_bytes / spanledger_spool_max_bytes)",
        ),
        stat(
            "Oldest in the spool",
            "Age of the oldest request that is not stored yet: how far behind the rows are.",
        )
        .unit(SECONDS)
        .goal("spool_age_seconds")
        .prom("age", "max(spanledger_spool_oldest_age_seconds)"),
        stat(
            "Rows refused",
            "Rows that the store refused in this range; they are kept in dead_letters. Must stay 0.",
        )
        .unit(COUNT)
        .prom(
            "rows",
            "sum(increase(spanledger_store_quarantined_rows_total[$__range])) or vector(0)",
        ),
        stat(
            "Spans lost",
            "Spans that were acknowledged and could not be read back from the spool, since the \
             start of the process: a disk fault. Must stay 0.",
        )
        .unit(COUNT)
        .prom("spans", "sum(spanledger_books_spans{entry=\"lost\"})"),
        stat(
            "Unaccounted",
            "Spans received, less all that became of them. Must stay 0, or spans went missing \
             unseen.",
        )
        .unit(COUNT)
        .prom("spans", "sum(abs(spanledger_books_unbalanced_spans))"),
        stat(
            "Requests refused",
            "OTLP requests that were told to try again in this range, since the spool or its disk \
             was full.",
        )
        .unit(COUNT)
        .prom(
            "refused",
            "sum(increase(spanledger_receive_requests_total{outcome=\"refused\"}[$__range]))",
        ),
    ]
}

fn inwards() -> Vec<Panel> {
    vec![
        stacked(
            "OTLP requests by outcome",
            "accepted; partial: some spans can't be read; refused: try again; rejected: can't be \
             read.",
        )
        .unit(A_SECOND)
        .prom(
            "{{outcome}}",
            "sum by (outcome) (rate(spanledger_receive_requests_total[$__rate_interval]))",
        ),
        stacked(
            "Bytes by way in",
            "Requests taken, decompressed, by transport and signal.",
        )
        .unit(BYTES_A_SECOND)
        .prom(
            "{{transport}} {{signal}}",
            "sum by (transport, signal) (rate(spanledger_receive_bytes_total[$__rate_interval]))",
        ),
        lines(
            "Spans",
            "Spans taken, those that can't be read, and spans delivered to rows and to metrics.",
        )
        .unit(A_SECOND)
        .prom(
            "taken",
            "sum(rate(spanledger_receive_spans_total[$__rate_interval]))",
        )
        .prom(
            "can't be read",
            "sum(rate(spanledger_receive_rejected_spans_total[$__rate_interval]))",
        )
        .prom(
            "to {{lane}}",
            "sum by (lane) (rate(spanledger_lane_spans_total[$__rate_interval]))",
        ),
        table(
            "Who sends",
            "Services by their last call or request in this range, the silent ones first.",
        )
        .column("last", AGO)
        .rows(format!(
            "SELECT coalesce(service_name, 'unknown') AS service, count(*) AS rows, \
             max(started_at) AS last FROM (SELECT service_name, started_at FROM llm_calls \
             WHERE {RANGE} UNION ALL SELECT service_name, started_at FROM pipeline_requests \
             WHERE {RANGE}) AS seen GROUP BY 1 ORDER BY last LIMIT 50"
        )),
    ]
}

fn through() -> Vec<Panel> {
    vec![
        lines(
            "Spool",
            "Size of the spool, and the size at which it refuses more.",
        )
        .unit(BYTES)
        .prom("size", "sum(spanledger_spool_bytes)")
        .prom("limit", "sum(spanledger_spool_max_bytes)"),
        lines(
            "Age of the oldest entry",
            "How far behind the slowest reader of the spool is.",
        )
        .unit(SECONDS)
        .prom("{{instance}}", "spanledger_spool_oldest_age_seconds"),
        lines(
            "Time of an fsync",
            "Time of a group commit to the spool: senders wait for it.",
        )
        .unit(SECONDS)
        .prom(
            "p50",
            "histogram_quantile(0.5, sum by (le) \
             (rate(spanledger_spool_fsync_duration_seconds_bucket[$__rate_interval])))",
        )
        .prom(
            "p99",
            "histogram_quantile(0.99, sum by (le) \
             (rate(spanledger_spool_fsync_duration_seconds_bucket[$__rate_interval])))",
        ),
        lines(
            "Work of the lanes",
            "Share of the time that a lane maps, prices and counts. One near 100 % is as fast as it \
             can be.",
        )
        .unit(OF_A_SECOND)
        .prom(
            "{{lane}}",
            "sum by (lane) (rate(spanledger_lane_refine_seconds_total[$__rate_interval]))",
        ),
    ]
}

fn out() -> Vec<Panel> {
    vec![
        stacked("Rows stored", "Rows by table.")
            .unit(A_SECOND)
            .prom(
                "{{table}}",
                "sum by (table) (rate(spanledger_store_rows_total[$__rate_interval]))",
            ),
        lines(
            "Time of a commit",
            "Half, and 99 of 100, of the commits to the store take at most this long.",
        )
        .unit(SECONDS)
        .prom(
            "p50",
            "histogram_quantile(0.5, sum by (le) \
             (rate(spanledger_store_commit_seconds_bucket[$__rate_interval])))",
        )
        .prom(
            "p99",
            "histogram_quantile(0.99, sum by (le) \
             (rate(spanledger_store_commit_seconds_bucket[$__rate_interval])))",
        ),
        lines(
            "Seen before, tried again",
            "Spans left out since they had been seen, rows that were stored already, and \
             deliveries that failed and were tried again.",
        )
        .unit(A_SECOND)
        .prom(
            "spans seen before",
            "sum(rate(spanledger_lane_duplicate_spans_total{lane=\"rows\"}[$__rate_interval]))",
        )
        .prom(
            "rows stored already",
            "sum(rate(spanledger_store_duplicate_rows_total[$__rate_interval]))",
        )
        .prom(
            "deliveries tried again",
            "sum(rate(spanledger_lane_failures_total[$__rate_interval]))",
        ),
        table(
            "Tables",
            "Size on disk, with indexes, of each table with its day partitions.",
        )
        .column("size", BYTES)
        .rows(
            "SELECT coalesce(parent.relname, own.relname) AS \"table\", \
             count(child.inhrelid) AS partitions, sum(pg_total_relation_size(own.oid)) AS size \
             FROM pg_class AS own LEFT JOIN pg_inherits AS child ON child.inhrelid = own.oid \
             LEFT JOIN pg_class AS parent ON parent.oid = child.inhparent \
             WHERE own.relkind = 'r' AND own.relnamespace = 'public'::regnamespace \
             GROUP BY 1 ORDER BY size DESC LIMIT 30",
        ),
        lines(
            "Disk days left",
            "Days until a disk is full at the pace of the last three days: data is that of the spool \
             and the SQLite file, store what [store] disk_bytes lets Postgres take. 3650: ten years \
             or more. Unknown in the first hour after a start.",
        )
        .unit(DAYS)
        .goal("disk_days_left")
        .prom("{{disk}}", "min by (disk) (spanledger_disk_days_left)")
        .none("unknown"),
        lines(
            "Disk",
            "Size of the store with all its tables, and what is free on its disk (where that is \
             known) and on the spool's.",
        )
        .unit(BYTES)
        .prom("store", "max(spanledger_store_bytes)")
        .prom(
            "free for {{disk}}",
            "min by (disk) (spanledger_disk_free_bytes)",
        ),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        lines("CPU", "CPU time of each instance.")
            .unit(OF_A_SECOND)
            .wide(8)
            .prom(
                "{{instance}}",
                "rate(process_cpu_seconds_total[$__rate_interval]) \
                 and on (job, instance) spanledger_store_up",
            ),
        lines("Memory", "Resident memory.")
            .unit(BYTES)
            .wide(8)
            .prom(
                "{{instance}}",
                "process_resident_memory_bytes and on (job, instance) spanledger_store_up",
            ),
        lines(
            "Uptime",
            "Hours since the process started. A drop is a restart.",
        )
        .unit(HOURS)
        .wide(8)
        .prom(
            "{{instance}}",
            "(time() - process_start_time_seconds and on (job, instance) \
                 spanledger_store_up) / 3600",
        ),
    ]
}

fn left_out() -> Vec<Panel> {
    vec![
        lines(
            "Spans that don't count",
            "Model call spans that feed no other number, since another span stands for the same \
             call.",
        )
        .unit(A_SECOND)
        .wide(8)
        .prom(
            "{{reason}}",
            "sum by (reason) (rate(genai_not_counted_total[$__rate_interval]))",
        ),
        lines(
            "Recounted calls",
            "Calls whose counting changed after the metrics had seen them: by so many calls the \
             metrics differ from the rows.",
        )
        .unit(COUNT)
        .wide(8)
        .prom("{{to}}", "sum by (to) (spanledger_recounted_calls_total)"),
        lines(
            "Labels folded",
            "Label values shown as __other__, since the label had used up its budget.",
        )
        .unit(A_SECOND)
        .wide(8)
        .prom(
            "{{label}}",
            "sum by (label) (rate(spanledger_labels_folded_total[$__rate_interval]))",
        ),
        table(
            "Dead letters",
            "Rows that the store refused, by table and reason, whenever they came. Empty is good.",
        )
        .wide(24)
        .high(6)
        .none("none")
        .trace("trace")
        .rows(
            "SELECT table_name AS \"table\", reason, count(*) AS rows, \
             max(created_at) AS last, max(trace_id) AS trace FROM dead_letters \
             GROUP BY 1, 2 ORDER BY rows DESC LIMIT 50",
        ),
    ]
}
