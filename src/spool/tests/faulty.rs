//! A disk that fails when told to; what it does write, it writes.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::spool::disk::{Disk, LogFile, RealDisk};

/// What goes wrong from now on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Bytes left on the disk.
    pub(super) room: Option<usize>,
    /// At most this much a write.
    pub(super) short: Option<usize>,
    pub(super) write: Option<io::ErrorKind>,
    pub(super) sync: Option<io::ErrorKind>,
    pub(super) cut: Option<io::ErrorKind>,
    /// fsyncs seen.
    pub(super) syncs: usize,
    /// Folders whose names were made durable.
    pub(super) folders: Vec<PathBuf>,
}

#[derive(Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<Faults>>);

struct FaultyFile {
    file: Box<dyn LogFile>,
    len: u64,
    disk: FaultyDisk,
}

impl FaultyDisk {
    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap()
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile {
            file: RealDisk.create(path)?,
            len: 0,
            disk: self.clone(),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile {
            file: RealDisk.open(path)?,
            len: std::fs::metadata(path)?.len(),
            disk: self.clone(),
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let freed = std::fs::metadata(path)?.len() as usize;
        if let Some(room) = &mut self.faults().room {
            *room += freed;
        }
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults().folders.push(dir.to_owned());
        RealDisk.sync_dir(dir)
    }
}

impl LogFile for FaultyFile {
    fn write(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut faults = self.disk.faults();
        if let Some(kind) = faults.write {
            return Err(kind.into());
        }
        let first = bytes.iter().find(|slice| !slice.is_empty()).unwrap();
        let mut len = first.len().min(faults.short.unwrap_or(usize::MAX));
        if let Some(room) = &mut faults.room {
            len = len.min(*room);
            if len == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= len;
        }
        self.len += len as u64;
        self.file.write(&[IoSlice::new(&first[..len])])
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut faults = self.disk.faults();
        faults.syncs += 1;
        match faults.sync {
            Some(kind) => Err(kind.into()),
            None => self.file.sync(),
        }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut faults = self.disk.faults();
        if let Some(kind) = faults.cut {
            return Err(kind.into());
        }
        if let Some(room) = &mut faults.room {
            *room += (self.len - len) as usize;
        }
        self.len = len;
        self.file.cut(len)
    }
}
