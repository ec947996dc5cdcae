//! STATION 9: what a ledger needs over time: partitions made ahead, old days and spool segments let
//! go, a look at how many days the disks last.
//!
//! | file | what |
//! |---|---|
//! | `disks` | the disks, and what is told of them |
//! | `forecast` | how fast something grows, and when it is full |
//! | `retention` | days older than the settings keep, let go |

mod disks;
mod forecast;
mod retention;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use disks::{DAYS_LEFT, Disks};
pub use retention::Retention;

use crate::{
    spool::{Position, Spool},
    store::Store,
};

const TRIM_EVERY: Duration = Duration::from_secs(1);
/// Content waits this long for its call; then the call was not sampled, or not exported.
const UNCLAIMED: chrono::Duration = chrono::Duration::days(1);
const PARTITIONS_EVERY: Duration = Duration::from_secs(3600);

/// Runs until `ended`. `passed` is how far the rows lane is: a segment goes once it is past it.
pub async fn run(
    store: Arc<Store>,
    spool: Arc<Spool>,
    passed: watch::Receiver<Option<Position>>,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    let mut trim = tokio::time::interval(TRIM_EVERY);
    let mut partitions = tokio::time::interval(PARTITIONS_EVERY);
    loop {
        tokio::select! {
            () = ended.cancelled() => return Ok(()),
            _ = trim.tick() => {
                let up_to = *passed.borrow();
                if let Some(up_to) = up_to {
                    spool.trim(up_to);
                }
            }
            _ = partitions.tick(), if store.is_connected() => {
                if let Err(error) = store.ensure_partitions(chrono::Utc::now()).await {
                    tracing::warn!(%error, "could not make partitions ahead; rows go to the default partition meanwhile");
                }
                let before = chrono::Utc::now() - UNCLAIMED;
                let before = before.timestamp_nanos_opt().unwrap_or_default();
                match store.forget_unclaimed(before).await {
                    Ok(0) => {}
                    Ok(calls) => tracing::info!(calls, "content whose call never came was let go"),
                    Err(error) => tracing::warn!(%error, "could not let go of content whose call never came"),
                }
            }
        }
    }
}
