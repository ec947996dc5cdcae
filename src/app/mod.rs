//! The running service: puts the stations together.
//!
//! `build` binds everything, so a taken port or a second process on the folder fails before work
//! begins; `run` starts. A task that ends unasked is fatal and visible: readiness goes red and the
//! stop begins. A stop follows the data: receivers answer what they have, lanes run to the spool's
//! tail or to the deadline, then the spool is closed. What is left in it is replayed at the next
//! start.

mod files;
mod listening;
mod shutdown;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use listening::Listening;
pub use shutdown::{Stop, stop_on_signals};

use crate::{
    alert::Alarm,
    api,
    config::Config,
    health::{Health, Round},
    maintain,
    pipeline::{self, Books, Lane, Lookahead, Observed, Refiner, Rows},
    receive::{self, Receivers},
    scale::Scaler,
    sink::prometheus::Prometheus,
    spool::{self, Spool},
    store::{self, Store},
    web,
};

/// How long connections to the store may take to close. One that waits for a lock there would hold
/// a stop up for as long as the lock is held.
const CLOSE: Duration = Duration::from_secs(2);

/// Of people, of Prometheus, of probes.
const PAGES: receive::serve::Limits = receive::serve::Limits {
    max_connections: 512,
    read_timeout: Duration::from_secs(30),
};

/// The service, bound but not running.
pub struct App {
    config: Config,
    spool: Arc<Spool>,
    store: Arc<Store>,
    receivers: Receivers,
    pages: TcpListener,
    router: axum::Router,
    ready: api::Ready,
    rows: Lane,
    lookahead: Lookahead,
    alarm: Option<Alarm>,
    round: Round,
    scaler: Scaler,
    disks: maintain::Disks,
    retention: maintain::Retention,
    listening: Listening,
}

impl App {
    /// Opens the spool, binds the listeners, prepares the lanes. A store that can't be reached is
    /// no error: the spool bridges it.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        files::raise_limit();
        let prices = Arc::new(config.price_table()?);
        config
            .map
            .check()
            .map_err(|error| anyhow::anyhow!("settings: could not {error}"))?;
        let url = config.store_url()?;
        let registry = prometheus::Registry::new();
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        spool::make_folder(&config.data_dir)
            .with_context(|| format!("could not create {}", config.data_dir.display()))?;
        let spool = Spool::open(&config.data_dir.join("spool"), &config.spool, &registry)
            .map_err(could_not)?;
        let store_config = store::Config {
            url,
            keep_days: config.store.keep_days,
        };
        let store = Arc::new(Store::new(store_config, &registry)?);
        let receivers = receive::bind(&config.receive, spool.appender(), &registry)
            .await
            .map_err(could_not)?;
        let pages = TcpListener::bind(config.http_addr).await.with_context(|| {
            format!(
                "could not listen on {} for pages and metrics (http_addr, SPANLEDGER_HTTP_ADDR)",
                config.http_addr
            )
        })?;
        let listening = Listening {
            grpc: receivers.grpc_addr(),
            otlp_http: receivers.http_addr(),
            http: pages.local_addr()?,
        };
        let spool = Arc::new(spool);
        let lane_metrics = pipeline::Metrics::new(&registry)?;
        let refiner = || Refiner::new(&config.map, &config.count, Arc::clone(&prices));
        let observer = Prometheus::new(&config.prometheus, &registry)?;
        let observed = Observed::new(observer, spool.end());
        let rows = Lane::new(
            Arc::clone(&spool),
            Rows::new(Arc::clone(&store), spool.id()),
            observed.clone(),
            refiner(),
            config.pipeline.clone(),
            lane_metrics.clone(),
            Books::new(Arc::clone(&spool), &registry)?,
        );
        let lookahead = Lookahead::new(
            Arc::clone(&spool),
            observed,
            refiner(),
            config.pipeline.clone(),
            lane_metrics,
            rows.stuck(),
        );
        let pages_url = listening.pages();
        let webhook = config.slack_url()?;
        let alarm = Alarm::new(
            &config.alert,
            webhook,
            pages_url,
            &registry,
            Arc::clone(&store),
        )?;
        let health = Health::default();
        let round = Round::new(
            &config.health,
            health.clone(),
            listening.otlp_http,
            &registry,
            Arc::clone(&store),
        )?;
        let scaler = Scaler::new(config.scale.clone(), &registry)?;
        let disks = maintain::Disks::new(
            Arc::clone(&store),
            Arc::clone(&spool),
            config.data_dir.clone(),
            config.store.disk_bytes,
            &registry,
        )?;
        let retention = maintain::Retention::new(Arc::clone(&store), &registry)?;
        let ready = api::Ready::default();
        let state = api::State::new(
            registry,
            ready.clone(),
            Arc::clone(&spool),
            Arc::clone(&store),
            health,
            rows.stuck(),
        );
        let router = api::router(state.clone()).merge(web::router(state, listening.endpoints()));
        Ok(Self {
            config,
            spool,
            store,
            receivers,
            pages,
            router,
            ready,
            rows,
            lookahead,
            alarm,
            round,
            scaler,
            disks,
            retention,
            listening,
        })
    }

    /// Where the service listens.
    pub fn listening(&self) -> Listening {
        self.listening
    }

    /// The store, to ask questions.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Told when rows of everything up to a spool position are stored.
    pub fn stored(&self) -> tokio::sync::watch::Receiver<Option<crate::spool::Position>> {
        self.rows.passed()
    }

    /// The spool's end, now.
    pub fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    /// Runs until told to stop, or until a part fails.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self {
            config,
            spool,
            store,
            receivers,
            pages,
            router,
            ready,
            rows,
            lookahead,
            alarm,
            round,
            scaler,
            disks,
            retention,
            listening,
        } = self;
        listening
            .write(&config.data_dir)
            .context("could not write listening.json")?;
        let grace = Duration::from_secs(config.shutdown_seconds);
        let drain = CancellationToken::new();
        let ended = CancellationToken::new();
        let passed = rows.passed();

        let mut receiving = JoinSet::new();
        receiving.spawn(receivers.run(stop.soon.clone()));
        let mut lanes = JoinSet::new();
        lanes.spawn(rows.run(drain.clone(), stop.now.clone()));
        lanes.spawn(lookahead.run(drain.clone()));
        let mut house = JoinSet::new();
        house.spawn(maintain::run(
            Arc::clone(&store),
            Arc::clone(&spool),
            passed,
            ended.clone(),
        ));
        let told = ended.clone();
        house.spawn(async move {
            tokio::join!(
                round.run(told.clone()),
                scaler.run(told.clone()),
                disks.run(told.clone()),
                retention.run(told.clone())
            );
            Ok(())
        });
        if let Some(alarm) = alarm {
            let told = ended.clone();
            house.spawn(async move {
                alarm.run(told).await;
                Ok(())
            });
        }
        // Before anybody can ask.
        ready.set(true);
        let served = receive::serve::serve(pages, router, PAGES, ended.clone());
        house.spawn(async move {
            served.await;
            Ok(())
        });
        tracing::info!(
            grpc = %listening.grpc, otlp_http = %listening.otlp_http, http = %listening.http,
            store = store.describe(), "ready"
        );

        // Nothing ends by itself: what does is fatal.
        let fault = tokio::select! {
            biased;
            () = stop.soon.cancelled() => None,
            Some(end) = receiving.join_next() => Some(fault("receiver", flat(end))),
            Some(end) = lanes.join_next() => Some(fault("lane", flat(end))),
            Some(end) = house.join_next() => Some(fault("page server, maintenance or alarm", flat(end))),
        };
        if fault.is_some() {
            ready.fail();
        }
        ready.set(false);
        stop.soon.cancel();
        let draining = async {
            while receiving.join_next().await.is_some() {}
            drain.cancel();
            while lanes.join_next().await.is_some() {}
        };
        let graceful = tokio::select! {
            done = tokio::time::timeout(grace, draining) => done.is_ok(),
            () = stop.now.cancelled() => false,
        };
        stop.now.cancel();
        lanes.shutdown().await;
        ended.cancel();
        house.shutdown().await;
        spool.close().await;
        if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
            tracing::warn!("a connection to the store is busy; it is left as it is");
        }
        Listening::remove(&config.data_dir);
        tracing::info!(graceful, left_in_spool_bytes = spool.bytes(), "stopped");
        fault.map_or(Ok(()), Err)
    }
}

/// A station's error, which fits behind these words, with its causes in one line.
fn could_not(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::anyhow!("could not {:#}", error.into())
}

fn flat<E: Into<anyhow::Error>>(
    end: Result<Result<(), E>, tokio::task::JoinError>,
) -> anyhow::Result<()> {
    end.map_err(anyhow::Error::from)?.map_err(Into::into)
}

fn fault(part: &str, end: anyhow::Result<()>) -> anyhow::Error {
    let error = match end {
        Ok(()) => anyhow::anyhow!("the {part} ended unasked"),
        Err(error) => error.context(format!("the {part} failed")),
    };
    tracing::error!(error = format!("{error:#}"), "stopping");
    error
}
