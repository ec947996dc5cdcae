//! How a stop is asked for.

use tokio_util::sync::CancellationToken;

/// The two ways of stopping: `soon` drains, `now` does not.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Stop accepting, write what is there, end.
    pub soon: CancellationToken,
    /// End at once; what is left stays in the spool.
    pub now: CancellationToken,
}

/// SIGTERM or Ctrl-C once: soon; twice: now.
pub fn stop_on_signals() -> Stop {
    let stop = Stop::default();
    let told = stop.clone();
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping; once more to stop at once");
        told.soon.cancel();
        signal().await;
        told.now.cancel();
    });
    stop
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let ended = signal(SignalKind::terminate()).and_then(|mut terminate| {
        signal(SignalKind::interrupt()).map(|mut interrupt| async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    });
    match ended {
        Ok(ended) => ended.await,
        Err(error) => {
            tracing::error!(%error, "can't listen for signals");
            std::future::pending::<()>().await;
        }
    }
}
