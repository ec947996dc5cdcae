//! Our own logs and traces.
//!
//! Logs go to stderr, a JSON object a line unless a person is watching. Field names equal column
//! names (`trace_id`, `model`, `latency_ms`); prompts, answers and keys are never logged.
//!
//! Work on one received request runs inside `tracing::info_span!("request", request_id)`: every
//! JSON line within it then carries the id under `spans`, and the span is a trace of its own if
//! [`Config::otlp_endpoint`] is set. Only spans of this crate are exported, so an export never
//! traces the HTTP/2 connection that carries it.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// How long the last export may take at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of our own logs and traces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
    pub log_format: LogFormat,
    /// What to log: a level, then levels of single modules, as in `info,spanledger::spool=debug`.
    pub log_filter: String,
    /// OTLP gRPC endpoint that our own spans go to, as in `http://127.0.0.1:4317`; none are
    /// exported unless it is set. Name another collector than this service: each export received
    /// here would be a span to export.
    pub otlp_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            log_format: LogFormat::Auto,
            // What a pool says of a connection that broke, the lane that used it says better.
            log_filter: "info,sqlx=warn,sqlx_core::pool=error,h2=warn,hyper=warn,tonic=warn,opentelemetry=warn"
                .to_owned(),
            otlp_endpoint: None,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Why logging didn't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `log_filter` is none.
    #[error("use the log filter {filter:?}: {source}")]
    Filter {
        /// As configured.
        filter: String,
        /// Which part, and why.
        source: ParseError,
    },
    /// `otlp_endpoint` is none.
    #[error("export own traces to {endpoint:?}")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What the SDK says.
        #[source]
        source: ExporterBuildError,
    },
    /// The exporter needs a runtime to connect on.
    #[error("export own traces outside of a Tokio runtime")]
    NoRuntime,
    /// The process has a subscriber already.
    #[error("install the log subscriber")]
    Installed(#[from] TryInitError),
}

/// Logging that runs. Keep it until the end and [`close`](Telemetry::close) it.
#[derive(Debug)]
#[must_use = "the last spans are lost unless it is closed"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Exports the last spans. The runtime must still be running.
    pub async fn close(mut self) {
        if let Some(provider) = self.provider.take() {
            let flushed =
                tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
            if let Ok(Err(error)) = flushed.await {
                tracing::warn!(%error, "the last own spans were not exported");
            }
        }
    }
}

/// Starts logging for the whole process, and tracing if it is configured (then only inside a
/// Tokio runtime).
pub fn init(config: &Config) -> Result<Telemetry, Error> {
    let provider = config.otlp_endpoint.as_deref().map(provider).transpose()?;
    let format = match config.log_format {
        LogFormat::Auto if std::io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        format => format,
    };
    subscriber(config, format, std::io::stderr, provider.as_ref())?.try_init()?;
    Ok(Telemetry { provider })
}

/// Lines to `writer`, our own spans to `provider`.
fn subscriber<W>(
    config: &Config,
    format: LogFormat,
    writer: W,
    provider: Option<&SdkTracerProvider>,
) -> Result<impl Subscriber + Send + Sync + use<W>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|source| Error::Filter {
        filter: config.log_filter.clone(),
        source,
    })?;
    let lines = fmt::layer().with_writer(writer);
    let lines = if format == LogFormat::Text {
        lines.boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed()
    };
    let spans = provider.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::INFO))
    });
    Ok(tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans))
}

/// The provider of our own spans.
fn provider(endpoint: &str) -> Result<SdkTracerProvider, Error> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::NoRuntime);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_protocol(Protocol::Grpc)
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| Error::Endpoint {
            endpoint: endpoint.to_owned(),
            source,
        })?;
    let resource = Resource::builder()
        .with_service_name("spanledger")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn of(config: &Config, work: impl FnOnce()) -> Vec<serde_json::Value> {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber =
                subscriber(config, LogFormat::Json, move || writer.clone(), None).unwrap();
            tracing::subscriber::with_default(subscriber, work);
            let bytes = lines.0.lock().unwrap().clone();
            String::from_utf8(bytes)
                .unwrap()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    #[test]
    fn a_json_line_carries_its_fields_and_the_request_it_belongs_to() {
        let lines = Lines::of(&Config::default(), || {
            let request = tracing::info_span!("request", request_id = "r-1");
            let _inside = request.enter();
            let step = tracing::info_span!("append");
            let _deeper = step.enter();
            tracing::info!(model = "gpt-4.1", latency_ms = 12.5, "stored");
            tracing::debug!("too much");
            tracing::info!(target: "h2::codec", "noise");
        });
        let [line] = lines.as_slice() else {
            panic!("one line was expected: {lines:?}");
        };
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "stored");
        assert_eq!(line["model"], "gpt-4.1");
        assert_eq!(line["latency_ms"], 12.5);
        assert_eq!(line["target"], "spanledger::telemetry::tests");
        assert_eq!(line["spans"][0]["name"], "request");
        assert_eq!(line["spans"][0]["request_id"], "r-1");
        let time = line["timestamp"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
    }

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[test]
    fn only_our_own_spans_are_exported() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(kept.clone())
            .build();
        let subscriber = subscriber(
            &Config::default(),
            LogFormat::Text,
            std::io::sink,
            Some(&provider),
        )
        .unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", request_id = "r-1");
            let _inside = request.enter();
            drop(tracing::error_span!(target: "h2::client", "connection"));
            drop(tracing::error_span!(target: "tonic::transport", "export"));
        });
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0].name, "request");
        let id = kept[0]
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == "request_id");
        assert_eq!(id.unwrap().value.as_str(), "r-1");
    }

    #[test]
    fn a_bad_filter_is_told_with_its_text() {
        let config = Config {
            log_filter: "info,sqlx=loud".to_owned(),
            ..Config::default()
        };
        let error = subscriber(&config, LogFormat::Json, std::io::sink, None)
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(
            text.starts_with("use the log filter \"info,sqlx=loud\": "),
            "{text}"
        );
    }

    #[test]
    fn settings_are_checked_by_name() {
        let config: Config = toml::from_str("log_format = \"text\"").unwrap();
        assert_eq!(config.log_format, LogFormat::Text);
        assert_eq!(config.otlp_endpoint, None);
        assert!(toml::from_str::<Config>("log_fromat = \"text\"").is_err());
        assert!(toml::from_str::<Config>("log_format = \"xml\"").is_err());
    }

    #[test]
    fn an_endpoint_without_a_runtime_is_an_error_and_no_panic() {
        let config = Config {
            otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
            ..Config::default()
        };
        assert!(matches!(init(&config), Err(Error::NoRuntime)));
    }
}
