//! The order of commits that are under way at once.

use std::time::Duration;

use tokio::sync::watch;

use super::Error;

/// How long a transaction is held open for its turn. It may hold what the one before it waits for,
/// so it gives way.
const HOLD: Duration = Duration::from_secs(5);

/// When a commit may end: once the one before it has. The first has nothing to wait for.
#[derive(Debug, Clone, Default)]
pub struct Turn(Option<watch::Receiver<bool>>);

/// Lets the next commit have its turn. Dropped without that, the next one can't be.
#[derive(Debug)]
pub struct Ended(watch::Sender<bool>);

impl Turn {
    /// The turn after a commit, and what that commit says its end with.
    pub fn next() -> (Ended, Turn) {
        let (sender, receiver) = watch::channel(false);
        (Ended(sender), Turn(Some(receiver)))
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.0.as_ref().is_none_or(|before| *before.borrow())
    }

    /// Waits for it.
    pub async fn come(&mut self) -> Result<(), Error> {
        if let Some(before) = &mut self.0 {
            let ended = before.wait_for(|ended| *ended).await;
            ended.map_err(|_| Error::OutOfTurn)?;
        }
        Ok(())
    }

    /// Waits for it with a transaction open.
    pub(super) async fn come_soon(&mut self) -> Result<(), Error> {
        tokio::time::timeout(HOLD, self.come())
            .await
            .unwrap_or(Err(Error::OutOfTurn))
    }
}

impl Ended {
    /// The commit is done.
    pub fn tell(self) {
        self.0.send_replace(true);
    }
}
