//! One file: the active one being written, any being read.

use std::{
    fs::File,
    io::{self, IoSlice, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    Error,
    disk::{Disk, LogFile},
    frame::{self, Header},
};

/// Size of a segment's own header.
pub(super) const HEADER_LEN: u64 = 16;
const MAGIC: &[u8; 8] = b"SPANLSEG";
const VERSION: u32 = 1;
/// One read from a file; larger only for an entry that is.
const CHUNK_BYTES: u64 = 1 << 20;
/// A search behind damage makes checksums of at most this much. Only a body made to look like
/// many frames needs more; what it costs then is the rest of the segment, not hours at the start.
const SEARCH_BYTES: u64 = 1 << 30;

/// The file of segment `number`.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// The number in a segment's file name.
pub(super) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

/// Why the active segment could not be written.
#[derive(Debug)]
pub(super) enum Fault {
    /// No room on the disk; the file is as it was before.
    Full,
    /// The process may open no more files now; nothing was begun.
    NoFiles,
    /// Not known what is on disk: no more writing.
    Broken(String),
}

fn fault(action: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
        _ if is_out_of_files(error) => Fault::NoFiles,
        _ => Fault::Broken(format!("{action} failed: {error}")),
    }
}

/// True if the process or the machine has as many files open as it may (EMFILE, ENFILE): somebody
/// opens connections, and will close them again.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// The segment that is appended to.
pub(super) struct Active {
    pub(super) number: u64,
    /// Durable bytes; the file is never longer between two appends.
    pub(super) len: u64,
    /// `None` for one that an earlier process wrote: it must be rotated before an append.
    file: Option<Box<dyn LogFile>>,
}

impl Active {
    /// Begins segment `number`; its name is durable on return.
    pub(super) fn create(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Self, Fault> {
        let path = path(dir, number);
        let file = disk
            .create(&path)
            .map_err(|e| fault("creating a segment", &e))?;
        let mut active = Active {
            number,
            len: 0,
            file: Some(file),
        };
        let mut header = [0; HEADER_LEN as usize];
        let (magic, rest) = header.split_at_mut(8);
        magic.copy_from_slice(MAGIC);
        let (version, _) = rest.split_at_mut(4);
        version.copy_from_slice(&VERSION.to_le_bytes());
        if let Err(fault) = active.append(&mut [IoSlice::new(&header)]) {
            return Err(match disk.remove(&path) {
                Ok(()) => fault,
                Err(e) => Fault::Broken(format!("removing a segment just begun failed: {e}")),
            });
        }
        match disk.sync_dir(dir) {
            Ok(()) => Ok(active),
            // The folder could not even be opened for it.
            Err(e) if is_out_of_files(&e) => Err(match disk.remove(&path) {
                Ok(()) => Fault::NoFiles,
                Err(e) => Fault::Broken(format!("removing a segment just begun failed: {e}")),
            }),
            Err(e) => Err(Fault::Broken(format!("fsync of the folder failed: {e}"))),
        }
    }

    /// Goes on with a segment that holds no entry yet; its name is durable on return, which the
    /// process that began it may not have come to.
    pub(super) fn reopen(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Self, Error> {
        let path = path(dir, number);
        let file = disk.open(&path).map_err(Error::io("open", &path))?;
        disk.sync_dir(dir).map_err(Error::io("fsync", dir))?;
        Ok(Active {
            number,
            len: HEADER_LEN,
            file: Some(file),
        })
    }

    /// Stands on an earlier process's last segment, while the disk has no room for one of our own.
    pub(super) fn sealed(number: u64, len: u64) -> Self {
        Active {
            number,
            len,
            file: None,
        }
    }

    /// True if it takes no entries.
    pub(super) fn is_sealed(&self) -> bool {
        self.file.is_none()
    }

    /// True if it holds no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.len <= HEADER_LEN
    }

    /// Appends all the bytes; durable on return. On a fault nothing of them counts.
    pub(super) fn append(&mut self, bytes: &mut [IoSlice<'_>]) -> Result<(), Fault> {
        let Some(file) = &mut self.file else {
            return Err(Fault::Broken("the segment is sealed".into()));
        };
        let added: u64 = bytes.iter().map(|slice| slice.len() as u64).sum();
        if let Err(error) = write_all(&mut **file, bytes) {
            return Err(match file.cut(self.len) {
                Ok(()) => fault("a write", &error),
                Err(cut) => {
                    Fault::Broken(format!("a write failed ({error}), then cutting it: {cut}"))
                }
            });
        }
        // After a failed fsync the kernel may have dropped the pages and call the next one good.
        match file.sync() {
            Ok(()) => {
                self.len += added;
                Ok(())
            }
            Err(error) => {
                let _ = file.cut(self.len);
                Err(Fault::Broken(format!("fsync failed: {error}")))
            }
        }
    }
}

fn write_all(file: &mut dyn LogFile, mut bytes: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut bytes, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What lies at a place of a segment.
pub(super) enum Found {
    /// A whole, sound entry.
    Entry(Header, Bytes),
    /// Anything else.
    Damage {
        /// Bytes that a checksum was made of, to find that out.
        checked: u64,
    },
}

/// What a reader does at a place of a segment.
pub(super) enum Step {
    /// It hands out an entry.
    Entry(Header, Bytes),
    /// It goes on from there: what lies before is damaged.
    Skip(u64),
}

/// A segment being read: a chunk at a time, bodies are slices of the chunk.
#[derive(Debug)]
pub(super) struct SegmentFile<F = File> {
    file: F,
    chunk: Bytes,
    chunk_at: u64,
}

impl SegmentFile {
    /// Opens segment `number`.
    pub(super) fn open(dir: &Path, number: u64) -> io::Result<Self> {
        Ok(Self::of(File::open(path(dir, number))?))
    }

    /// True if this release reads segments of `version`.
    pub(super) fn is_known(version: u32) -> bool {
        version == VERSION
    }

    /// Its size now.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl<F: Read + Seek> SegmentFile<F> {
    /// Reads what is open already.
    pub(super) fn of(file: F) -> Self {
        Self {
            file,
            chunk: Bytes::new(),
            chunk_at: 0,
        }
    }

    /// Its version; `None` if it doesn't start as a segment does.
    pub(super) fn version(&mut self) -> io::Result<Option<u32>> {
        let header = self.bytes(0, HEADER_LEN, HEADER_LEN)?;
        Ok(header
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.first_chunk())
            .map(|version| u32::from_le_bytes(*version)))
    }

    /// What a reader does at `at`; nothing at or past `limit` is looked at.
    pub(super) fn step(&mut self, at: u64, limit: u64) -> io::Result<Step> {
        Ok(match self.entry_at(at, limit)? {
            Found::Entry(header, body) => Step::Entry(header, body),
            Found::Damage { .. } => Step::Skip(self.resync(at, limit)?.unwrap_or(limit)),
        })
    }

    /// What lies at `at`; nothing at or past `limit` is looked at.
    pub(super) fn entry_at(&mut self, at: u64, limit: u64) -> io::Result<Found> {
        let header_bytes = self.bytes(at, frame::HEADER_LEN as u64, limit)?;
        let Some(header) = Header::parse(&header_bytes) else {
            return Ok(Found::Damage { checked: 0 });
        };
        if header.frame_len() > limit.saturating_sub(at) {
            return Ok(Found::Damage { checked: 0 });
        }
        let mut body = self.bytes(at, header.frame_len(), limit)?;
        if (body.len() as u64) < header.frame_len() {
            return Ok(Found::Damage { checked: 0 });
        }
        let body = body.split_off(frame::HEADER_LEN);
        Ok(if header.matches(&body) {
            Found::Entry(header, body)
        } else {
            let checked = header.frame_len();
            Found::Damage { checked }
        })
    }

    /// The next sound entry behind the damage at `at`. Where its header can be read it says where
    /// that is, but the length in it may be what is damaged: an entry in between counts, though it
    /// may have been part of a body. One too many costs less than one lost.
    fn resync(&mut self, at: u64, limit: u64) -> io::Result<Option<u64>> {
        let header_bytes = self.bytes(at, frame::HEADER_LEN as u64, limit)?;
        let said = Header::parse(&header_bytes).map(|header| at.saturating_add(header.frame_len()));
        let said = match said {
            Some(next) if matches!(self.entry_at(next, limit)?, Found::Entry(..)) => Some(next),
            _ => None,
        };
        let end = said.unwrap_or(limit);
        let (mut from, mut budget) = (at + 1, SEARCH_BYTES);
        while end.saturating_sub(from) >= frame::HEADER_LEN as u64 && budget > 0 {
            let window = self.bytes(from, CHUNK_BYTES.min(end - from), limit)?;
            for found in memchr::memmem::find_iter(&window, &frame::MARK) {
                let candidate = from + found as u64;
                match self.entry_at(candidate, limit)? {
                    Found::Entry(..) => return Ok(Some(candidate)),
                    Found::Damage { checked } => budget = budget.saturating_sub(checked),
                }
                if budget == 0 {
                    break;
                }
            }
            if window.len() < frame::MARK.len() {
                break;
            }
            // A mark may lie across the end of the window.
            from += (window.len() - (frame::MARK.len() - 1)) as u64;
        }
        Ok(said)
    }

    /// `len` bytes at `at`, fewer only where `limit` or the file ends first.
    fn bytes(&mut self, at: u64, len: u64, limit: u64) -> io::Result<Bytes> {
        let len = len.min(limit.saturating_sub(at));
        let wanted = at..at.saturating_add(len);
        let have = self.chunk_at..self.chunk_at + self.chunk.len() as u64;
        if wanted.start < have.start || wanted.end > have.end {
            let len = len.max(CHUNK_BYTES).min(limit.saturating_sub(at));
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            // Its entries are done with, as a rule: the memory serves again, unless it is much.
            let mut chunk = match std::mem::take(&mut self.chunk).try_into_mut() {
                Ok(chunk) if chunk.capacity() <= 2 * CHUNK_BYTES as usize => Vec::from(chunk),
                _ => Vec::new(),
            };
            chunk.clear();
            chunk.reserve_exact(len);
            self.file.seek(SeekFrom::Start(at))?;
            let file = Read::by_ref(&mut self.file);
            file.take(len as u64).read_to_end(&mut chunk)?;
            self.chunk = Bytes::from(chunk);
            self.chunk_at = at;
        }
        let start = ((at - self.chunk_at) as usize).min(self.chunk.len());
        let end = (start + len as usize).min(self.chunk.len());
        Ok(self.chunk.slice(start..end))
    }
}
