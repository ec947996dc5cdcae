//! `/health`: what it says of dependencies, probes and the canary, on the running service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    postgres,
    process::{Folder, Service, get, post},
    rows::Rows,
    spans::request,
};

fn health(service: &Service) -> (u16, Value) {
    let (status, body) = service.get("/health");
    (status, serde_json::from_str(&body).unwrap())
}

/// Waits until the answer is as wanted.
fn wait(service: &Service, what: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let (status, answer) = health(service);
        if wanted(status, &answer) {
            return answer;
        }
        let waited = started.elapsed() < Duration::from_secs(60);
        assert!(waited, "{what}: {status} {answer:#}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_canary_flies_the_whole_way_and_an_outage_is_told() {
    let folder = Folder::new("canary");
    let database = postgres::database();
    let service = Service::start_with(
        folder.path(),
        &[
            ("SPANLEDGER_STORE_URL", &database.url()),
            ("SPANLEDGER_HEALTH__CANARY_SECONDS", "1"),
        ],
    );
    let answer = wait(&service, "the canary", |_, a| {
        a["checks"]["canary"]["status"] == "healthy"
    });
    assert_eq!(answer["status"], "healthy", "{answer:#}");
    for name in ["store", "spool", "workers"] {
        assert_eq!(answer["checks"][name]["status"], "healthy", "{answer:#}");
    }
    // Nothing was sent yet: nothing is known, and that is no illness.
    for name in ["embedding_model", "vector_store", "llm_provider"] {
        assert_eq!(answer["checks"][name]["status"], "unknown", "{answer:#}");
    }
    let timestamp = answer["timestamp"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok());
    let counted = service.metric("genai_cache_lookups_total", &["spanledger-canary", "hit"]);
    assert!(counted >= 1.0);
    let arrived = service.metric("spanledger_canary_last_success_timestamp_seconds", &[]);
    let now = chrono::Utc::now().timestamp() as f64;
    assert!((now - arrived).abs() < 60.0, "{arrived}");
    let rows = Rows::postgres(&database.url());
    let stored =
        &rows.query("SELECT count(*) FROM cache_lookups WHERE cache = 'spanledger-canary'")[0][0];
    assert!(stored.parse::<f64>().unwrap() >= 1.0);
    // It is no call of anybody's.
    assert_eq!(rows.query("SELECT count(*) FROM llm_calls")[0][0], "0");
    assert_eq!(
        rows.query("SELECT count(*) FROM pipeline_requests")[0][0],
        "0"
    );

    database.refuse(true);
    let ill = wait(&service, "an outage", |_, a| a["status"] != "healthy");
    assert_eq!(ill["status"], "degraded", "the spool bridges it: {ill:#}");
    assert_eq!(service.get("/healthz").0, 200);
    database.refuse(false);
    wait(&service, "the end of it", |status, a| {
        status == 200 && a["status"] == "healthy"
    });
}

#[test]
fn probes_and_spans_tell_who_is_ill() {
    let well = Folder::new("probed");
    let probed = Service::start(well.path());

    let folder = Folder::new("probes");
    let settings = folder.path().join("spanledger.toml");
    std::fs::write(
        &settings,
        format!(
            "[health]\nprobe_seconds = 1\nprobes = [\n  {{ name = \"ollama\", url = \"http://{}/healthz\" }},\n  \
             {{ name = \"chroma\", url = \"http://{}/no-such-page\" }},\n]\n",
            probed.http, probed.http
        ),
    )
    .unwrap();
    let data = folder.path().join("data");
    let config = settings.to_str().unwrap();
    let service = Service::start_with(&data, &[("SPANLEDGER_CONFIG", config)]);
    let body = prost::Message::encode_to_vec(&request(0..8));
    let headers = [("Content-Type", "application/x-protobuf")];
    assert_eq!(
        post(&service.otlp_http, "/v1/traces", &headers, &body).0,
        200
    );

    let answer = wait(&service, "the probes", |_, a| {
        !a["checks"]["chroma"].is_null()
    });
    assert_eq!(
        answer["checks"]["ollama"]["status"], "healthy",
        "{answer:#}"
    );
    assert!(
        answer["checks"]["ollama"]["latency_ms"].is_f64(),
        "{answer:#}"
    );
    assert_eq!(answer["checks"]["chroma"]["detail"], "answers 404");
    assert_eq!(answer["status"], "degraded");
    assert_eq!(service.metric("spanledger_probe_up", &["ollama"]), 1.0);

    let seen = wait(&service, "the spans", |_, a| {
        a["checks"]["llm_provider"]["status"] == "healthy"
    });
    for name in ["embedding_model", "vector_store"] {
        let check = &seen["checks"][name];
        assert_eq!(check["status"], "healthy", "{seen:#}");
        assert_eq!(check["error_rate"], 0.0, "{seen:#}");
        assert!(
            check["last_success_age_seconds"].as_f64().unwrap() < 120.0,
            "{seen:#}"
        );
    }
    assert!(probed.stop().success());
    let ill = wait(&service, "a dead dependency", |status, a| {
        status == 503 && a["status"] == "unhealthy"
    });
    assert_eq!(ill["checks"]["ollama"]["status"], "unhealthy", "{ill:#}");
    assert_eq!(service.metric("spanledger_probe_up", &["ollama"]), 0.0);

    // That others are ill is no reason to restart this service.
    assert_eq!(
        (service.get("/healthz").0, service.get("/readyz").0),
        (200, 200)
    );
}

/// How much room there is, on each store; how long it lasts can't be known yet, and isn't told.
#[test]
fn room_on_the_disks_is_told_where_it_is_known() {
    let database = postgres::database();
    let url = database.url();
    let stored = |service: &Service| {
        let started = Instant::now();
        loop {
            let bytes = service.metric("spanledger_store_bytes", &[]);
            if bytes > 0.0 {
                return bytes;
            }
            let waited = started.elapsed() < Duration::from_secs(60);
            assert!(waited, "{}", service.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let disks = |service: &Service| {
        let (_, text) = service.get("/metrics");
        for early in ["spanledger_disk_days_left", "spanledger_store_growth"] {
            assert!(!text.contains(early), "{text}");
        }
        ["data", "store"].map(|disk| {
            let label = format!("disk=\"{disk}\"");
            let told = text.contains(&format!("spanledger_disk_free_bytes{{{label}}}"));
            told.then(|| service.metric("spanledger_disk_free_bytes", &[&label]))
        })
    };

    let folder = Folder::new("room-sqlite");
    let service = Service::start(folder.path());
    let bytes = stored(&service);
    let size = |name: &str| {
        let found = folder.path().join(name).metadata();
        found.map_or(0.0, |found| found.len() as f64)
    };
    assert!(bytes <= size("spanledger.db") + size("spanledger.db-wal"));
    let [data, store] = disks(&service);
    assert!(data.unwrap() > 0.0);
    assert_eq!(store, None, "the file is on the data folder's disk");

    let folder = Folder::new("room-postgres");
    let service = Service::start_with(folder.path(), &[("SPANLEDGER_STORE_URL", &url)]);
    let bytes = stored(&service);
    assert!(bytes > 1e6, "an empty database has some megabytes: {bytes}");
    let [data, store] = disks(&service);
    assert!(data.is_some());
    assert_eq!(store, None, "nobody said how much it may take");
    drop(service);

    let limit = ("SPANLEDGER_STORE__DISK_BYTES", "50000000000");
    let service = Service::start_with(folder.path(), &[("SPANLEDGER_STORE_URL", &url), limit]);
    let bytes = stored(&service);
    let [_, store] = disks(&service);
    assert_eq!(store, Some(50e9 - bytes));
}

/// A part that died is not hidden: whoever restarts unhealthy services is told.
#[tokio::test]
async fn a_dead_part_makes_the_service_unhealthy() {
    use spanledger::{api, health::Health, spool::Spool, store};
    let folder = Folder::new("dead-part");
    let registry = prometheus::Registry::new();
    let spool = Spool::open(&folder.path().join("spool"), &Default::default(), &registry).unwrap();
    let url = format!("sqlite://{}", folder.path().join("rows.db").display());
    let store = store::Store::new(
        store::Config {
            url: url.into(),
            ..Default::default()
        },
        &registry,
    )
    .unwrap();
    store.connect().await.unwrap();
    let ready = api::Ready::default();
    ready.set(true);
    let state = api::State::new(
        registry,
        ready.clone(),
        Arc::new(spool),
        Arc::new(store),
        Health::default(),
        tokio::sync::watch::channel(false).1,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(axum::serve(listener, api::router(state)).into_future());
    let ask = async |path: &'static str| {
        let address = address.clone();
        tokio::task::spawn_blocking(move || get(&address, path))
            .await
            .unwrap()
    };
    assert_eq!(ask("/healthz").await.0, 200);
    assert_eq!(ask("/health").await.0, 200);
    ready.fail();
    assert_eq!(ask("/healthz").await.0, 503);
    let (status, body) = ask("/health").await;
    assert_eq!(status, 503);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answer["checks"]["workers"]["status"], "unhealthy",
        "{answer:#}"
    );
    server.abort();
}
