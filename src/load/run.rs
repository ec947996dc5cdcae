//! Connections that send, each one request at a time.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Endpoint, Error, Protocol, Writer,
    body::Template,
    client::Client,
    ids::{RunId, SPANS, mix},
    latency::Latencies,
    retry::{Answer, delay},
};

const SHOW_EVERY: Duration = Duration::from_millis(200);

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub endpoint: Endpoint,
    /// How.
    pub protocol: Protocol,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// How much in all.
    pub amount: Amount,
    /// Spans a second; `None` for as fast as acks come.
    pub rate: Option<f64>,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Spans of one export, at most; at least five.
    pub batch: u64,
    /// Ids and bodies follow from it.
    pub seed: u64,
    /// How long an export is tried again before it is given up.
    pub give_up_after: Duration,
}

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// This many spans, rounded up to whole requests.
    Spans(u64),
    /// For this long.
    For(Duration),
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Spans acked.
    pub acked: u64,
    /// Tries that failed and were followed by another.
    pub retries: u64,
    /// Since the start.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What all its trace ids begin with.
    pub run: String,
    /// The seed that makes the same ids and bodies again.
    pub seed: u64,
    /// Spans handed to a connection.
    pub sent: u64,
    /// Spans that the server said it has.
    pub acked: u64,
    /// Spans that it said it will never take.
    pub rejected: u64,
    /// Spans without an answer: given up, or the run was stopped.
    pub unanswered: u64,
    /// Tries that failed and were followed by another.
    pub retries: u64,
    /// Why the newest of them failed, or what was rejected.
    pub last_failure: Option<String>,
    /// From the first send to the last answer.
    pub seconds: f64,
    /// Acked spans a second.
    pub spans_per_second: f64,
    /// Times from the first try (at a rate: from when it was due) to the ack.
    pub ack_ms: AckMs,
    /// CPU of this process, user and system.
    pub cpu_seconds: Option<f64>,
}

/// Times to the ack of exports, ms; `None` if there was none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct AckMs {
    /// Half took no longer.
    pub p50: Option<f64>,
    /// Nine of ten took no longer.
    pub p90: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Report {
    /// True if every span that was sent was acked.
    pub fn is_all_acked(&self) -> bool {
        self.acked == self.sent
    }
}

/// What the connections share.
struct Shared {
    plan: Plan,
    template: Template,
    /// The next request to send.
    next: AtomicU64,
    /// Requests in all; `u64::MAX` if the time says when to end.
    end: u64,
    started: Instant,
    stop: CancellationToken,
    ledger: Option<Mutex<Writer>>,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    report: Report,
    latencies: Latencies,
}

/// Sends all of the plan, or until `stop`: then what is under way may still be answered, and is
/// not tried again. `show` is told how far it is.
pub async fn run(
    plan: Plan,
    ledger: Option<Writer>,
    stop: CancellationToken,
    mut show: impl FnMut(Progress),
) -> Result<Report, Error> {
    let run = RunId::of_seed(plan.seed);
    let traces = (plan.batch / SPANS as u64).max(1);
    let end = match plan.amount {
        Amount::Spans(spans) => spans.div_ceil(SPANS as u64),
        Amount::For(_) => u64::MAX,
    };
    let cpu_before = cpu_seconds();
    let connections = plan.connections.max(1);
    let shared = Arc::new(Shared {
        template: Template::new(run, traces.min(end), plan.protocol, plan.seed),
        next: AtomicU64::new(0),
        end,
        started: Instant::now(),
        stop: stop.clone(),
        ledger: ledger.map(Mutex::new),
        done: Mutex::default(),
        plan,
    });
    let mut senders: JoinSet<Result<(), Error>> = JoinSet::new();
    for _ in 0..connections {
        senders.spawn(Arc::clone(&shared).send_all());
    }
    let mut ended = Ok(());
    let mut tick = tokio::time::interval(SHOW_EVERY);
    loop {
        tokio::select! {
            sender = senders.join_next() => match sender {
                None => break,
                Some(Ok(Ok(()))) => {}
                // Without its books a run is worth nothing.
                Some(Ok(Err(error))) => {
                    ended = Err(error);
                    stop.cancel();
                }
                Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            },
            _ = tick.tick() => show(shared.progress()),
        }
    }
    ended?;
    let elapsed = shared.started.elapsed();
    let done = std::mem::take(&mut *shared.done());
    let times = |part| done.latencies.quantile_ms(part);
    Ok(Report {
        run: run.prefix(),
        seed: shared.plan.seed,
        seconds: elapsed.as_secs_f64(),
        spans_per_second: done.report.acked as f64 / elapsed.as_secs_f64().max(1e-9),
        ack_ms: AckMs {
            p50: times(0.5),
            p90: times(0.9),
            p99: times(0.99),
            max: done.latencies.max_ms(),
        },
        cpu_seconds: cpu_seconds().zip(cpu_before).map(|(now, then)| now - then),
        ..done.report
    })
}

impl Shared {
    /// One connection's work.
    async fn send_all(self: Arc<Self>) -> Result<(), Error> {
        let plan = &self.plan;
        let mut client = Client::new(plan.endpoint.clone(), plan.protocol, plan.gzip);
        let mut smaller = None;
        let per_export = self.template.traces();
        loop {
            let first = self.next.fetch_add(per_export, Ordering::Relaxed);
            let traces = self.end.saturating_sub(first).min(per_export);
            if traces == 0 {
                return Ok(());
            }
            let template = match traces == per_export {
                true => &self.template,
                // The last one of all.
                false => smaller.insert(Template::new(
                    RunId::of_seed(plan.seed),
                    traces,
                    plan.protocol,
                    plan.seed,
                )),
            };
            let Some(due) = self.until_due(first).await else {
                return Ok(());
            };
            self.send(&mut client, template, first, due).await?;
        }
    }

    /// Waits for the time at which this request is due, and says when that was; `None` if the run
    /// is over by then.
    async fn until_due(&self, first: u64) -> Option<Instant> {
        let now = Instant::now();
        let due = self.plan.rate.map_or(now, |rate| {
            self.started + Duration::from_secs_f64((first * SPANS as u64) as f64 / rate)
        });
        if let Amount::For(time) = self.plan.amount
            && due.max(now) >= self.started + time
        {
            return None;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep_until(due.into()) => Some(due),
        }
    }

    /// Sends one export until it has an answer that is final.
    async fn send(
        &self,
        client: &mut Client,
        template: &Template,
        first: u64,
        due: Instant,
    ) -> Result<(), Error> {
        let (traces, spans) = (template.traces(), template.traces() * SPANS as u64);
        let sent_at = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        let body = template.body(first, sent_at, self.plan.gzip);
        let body = body.map_err(Error::Body)?;
        self.note(|ledger| ledger.sent(first, traces))?;
        let due = match self.plan.rate {
            Some(_) => due,
            None => Instant::now(),
        };
        self.done().report.sent += spans;
        let mut tries = 0;
        let rejected = loop {
            match client.export(body.clone()).await {
                Answer::Accepted => {
                    self.note(|ledger| ledger.acked(first, traces))?;
                    break 0;
                }
                Answer::Partial { rejected, message } => {
                    let rejected = rejected.min(spans);
                    self.note(|ledger| ledger.partial(first, traces, rejected))?;
                    self.done().report.last_failure = Some(message);
                    break rejected;
                }
                Answer::Rejected { why } => {
                    self.note(|ledger| ledger.rejected(first, traces))?;
                    let mut done = self.done();
                    done.report.rejected += spans;
                    done.report.last_failure = Some(why);
                    return Ok(());
                }
                Answer::Retry { after, why } => {
                    tries += 1;
                    let pause = delay(tries, after, mix(first ^ u64::from(tries) << 48));
                    self.done().report.last_failure = Some(why);
                    let gives_up = due.elapsed() + pause > self.plan.give_up_after;
                    let is_over = gives_up
                        || tokio::select! {
                            biased;
                            () = self.stop.cancelled() => true,
                            () = sleep(pause) => false,
                        };
                    if is_over {
                        self.done().report.unanswered += spans;
                        return Ok(());
                    }
                    self.done().report.retries += 1;
                }
            }
        };
        let mut done = self.done();
        done.report.acked += spans - rejected;
        done.report.rejected += rejected;
        done.latencies.add(due.elapsed());
        Ok(())
    }

    fn note(&self, write: impl FnOnce(&mut Writer) -> Result<(), Error>) -> Result<(), Error> {
        match &self.ledger {
            Some(ledger) => write(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Ok(()),
        }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        let done = self.done();
        Progress {
            acked: done.report.acked,
            retries: done.report.retries,
            elapsed: self.started.elapsed(),
        }
    }
}

/// User and system time of this process, seconds; `None` where there is no `/proc`.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
    // Linux counts in hundredths, whatever the kernel's own clock.
    Some(ticks as f64 / 100.0)
}
