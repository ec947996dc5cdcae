//! How a stop is asked for.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two ways of stopping: `soon` drains, `now` does not.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Stop accepting, write what is there, end.
    pub soon: CancellationToken,
    /// End at once; what is left stays in the spool.
    pub now: CancellationToken,
}

/// SIGTERM or Ctrl-C once: soon; twice: now. Listens from the moment it is called; must be called
/// inside a Tokio runtime.
pub fn stop_on_signals() -> std::io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = Stop::default();
    let told = stop.clone();
    tokio::spawn(async move {
        for token in [told.soon, told.now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to stop; told twice, it stops at once");
            token.cancel();
        }
    });
    Ok(stop)
}
