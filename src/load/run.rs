//! Connections that send, each one request at a time.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Endpoint, Error, Protocol, Writer,
    body::Template,
    client::Client,
    ids::{RunId, SPANS, mix},
    latency::Latencies,
    report::{AckMs, Progress, Report, cpu_seconds},
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
    Ok(Report {
        run: run.prefix(),
        seed: shared.plan.seed,
        seconds: elapsed.as_secs_f64(),
        spans_per_second: done.report.acked as f64 / elapsed.as_secs_f64().max(1e-9),
        ack_ms: AckMs::of(&done.latencies),
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
