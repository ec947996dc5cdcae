//! What can go wrong with a spool. Messages fit after "could not".

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the spool could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or the folder can't be used.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the folder open.
    #[error("use the spool folder {}: {owner} has it open", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// "process 123", or "another process".
        owner: String,
    },
    /// A segment was written by a newer release.
    #[error("read {}: its format is version {version}, and this release knows version 1", path.display())]
    UnknownVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The size limit is reached. Room comes back as consumers go on.
    #[error("append to the spool: it has reached its limit of {max_bytes} bytes")]
    Full {
        /// The limit.
        max_bytes: u64,
    },
    /// The disk has no room. The writer goes on once there is some.
    #[error("append to the spool: the disk is full")]
    DiskFull,
    /// A new segment can't be opened. The writer goes on once files are closed.
    #[error("append to the spool: the process has as many files open as it may")]
    OutOfFiles,
    /// The entry never fits.
    #[error("append to the spool: the entry takes {bytes} bytes, and {max_bytes} are allowed")]
    TooLarge {
        /// What it takes.
        bytes: u64,
        /// What an entry may take.
        max_bytes: u64,
    },
    /// A write or an fsync failed: what is on disk is not known, so nothing more is taken until the
    /// folder is opened anew.
    #[error(
        "use the spool: its writer stopped, because {reason}; it starts again with the process"
    )]
    Broken {
        /// What happened.
        reason: String,
    },
    /// The spool was closed.
    #[error("use the spool: it is closed")]
    Closed,
    /// The metrics could not be registered.
    #[error("register the spool's metrics")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    /// True if there is no room now.
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            Error::Full { .. } | Error::DiskFull | Error::OutOfFiles
        )
    }

    /// True if the same call may succeed later. That includes a broken or closed spool: for a
    /// sender, the next process is "later".
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Io { .. }
            | Error::Full { .. }
            | Error::DiskFull
            | Error::OutOfFiles
            | Error::Broken { .. }
            | Error::Closed => true,
            Error::Locked { .. }
            | Error::UnknownVersion { .. }
            | Error::TooLarge { .. }
            | Error::Metrics(_) => false,
        }
    }
}
