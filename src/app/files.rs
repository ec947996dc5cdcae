//! How many files and connections the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. The soft one is 1,024 on most systems, for programs that
/// call `select`, which can't take more; none do here.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => tracing::debug!(?before, now = ?limit.current, "open files allowed"),
        Err(error) => {
            tracing::warn!(%error, allowed = ?before, "could not raise the limit on open files");
        }
    }
}
