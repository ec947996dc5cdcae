//! Opening a folder, after a crash too.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::{
    Error,
    disk::Disk,
    segment::{self, Active, Fault, Found, SegmentFile, Step},
};

/// A folder in order.
pub(super) struct Recovered {
    /// The sealed segments, oldest first.
    pub(super) sealed: Vec<Sealed>,
    /// The segment to append to; one of the sealed ones if there is no room for another.
    pub(super) active: Active,
    /// Bytes that were cut off the tail.
    pub(super) torn_bytes: u64,
}

/// A segment that is only read.
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) len: u64,
    /// When its first entry was received, if it has a sound one.
    pub(super) first_received_at: Option<i64>,
}

/// Checks every segment's header and the newest segment's entries, cuts a torn tail, and begins a
/// segment of our own: an earlier process's is never appended to.
pub(super) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, Error> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        numbers.extend(segment::number(&entry.path()));
    }
    numbers.sort_unstable();
    let newest = numbers.last().copied();
    let (mut sealed, mut torn_bytes, mut active) = (Vec::new(), 0, None);
    for number in numbers {
        let path = segment::path(dir, number);
        let io = |action| Error::io(action, &path);
        let mut file = SegmentFile::open(dir, number).map_err(io("open"))?;
        let mut len = file.len().map_err(io("read"))?;
        let is_newest = Some(number) == newest;
        if is_newest && len < segment::HEADER_LEN {
            // The crash came while the file was being created; it never held an entry.
            disk.remove(&path).map_err(io("remove"))?;
            active = Some(begin(disk, dir, number)?);
            continue;
        }
        match file.version().map_err(io("read"))? {
            Some(version) if !SegmentFile::is_known(version) => {
                return Err(Error::UnknownVersion { path, version });
            }
            Some(_) => {}
            None => tracing::error!(segment = %path.display(),
                "a spool segment does not start as it should; its entries are still looked for"),
        }
        if is_newest && len == segment::HEADER_LEN {
            active = Some(Active::reopen(disk, dir, number)?);
            continue;
        }
        if is_newest {
            let end = sound_end(&mut file, len).map_err(io("read"))?;
            let mut log = disk.open(&path).map_err(io("open"))?;
            if end < len {
                tracing::warn!(segment = %path.display(), at = end, bytes = len - end,
                    "cut a torn tail off the spool: the process or the machine stopped during a write");
                log.cut(end).map_err(io("cut"))?;
                torn_bytes = len - end;
                len = end;
            }
            // Entries that a killed process wrote but did not sync are handed out from now on.
            log.sync().map_err(io("fsync"))?;
        }
        let first_received_at = match file
            .entry_at(segment::HEADER_LEN, len)
            .map_err(io("read"))?
        {
            Found::Entry(header, _) => Some(header.received_at),
            Found::Damage { .. } => None,
        };
        sealed.push(Sealed {
            number,
            len,
            first_received_at,
        });
    }
    let active = match (active, sealed.last()) {
        (Some(active), _) => active,
        (None, None) => begin(disk, dir, 1)?,
        (None, Some(last)) => match begin(disk, dir, last.number + 1) {
            // What is kept can still be delivered, and that makes room.
            Err(Error::DiskFull) => Active::sealed(last.number, last.len),
            begun => begun?,
        },
    };
    Ok(Recovered {
        sealed,
        active,
        torn_bytes,
    })
}

fn begin(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Active, Error> {
    Active::create(disk, dir, number).map_err(|fault| match fault {
        Fault::Full => Error::DiskFull,
        Fault::NoFiles => Error::OutOfFiles,
        Fault::Broken(reason) => Error::Broken { reason },
    })
}

/// Where the last sound entry ends.
fn sound_end(file: &mut SegmentFile, len: u64) -> io::Result<u64> {
    let mut at = segment::HEADER_LEN;
    while at < len {
        match file.step(at, len)? {
            Step::Entry(header, _) => at += header.frame_len(),
            Step::Skip(next) if next < len => at = next,
            Step::Skip(_) => break,
        }
    }
    Ok(at)
}

/// The folder's random name, made when there is none.
pub(super) fn id(disk: &dyn Disk, dir: &Path) -> Result<String, Error> {
    let path = dir.join("id");
    match std::fs::read_to_string(&path) {
        Ok(id) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => return Ok(id),
        Ok(_) => tracing::warn!(path = %path.display(),
            "the spool's id is damaged; with a new one, what it holds is delivered again"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("read", &path)(error)),
    }
    let mut random = [0; 16];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(Error::io("read", source))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = dir.join("id.new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(id.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        disk.sync_dir(dir)
    };
    write().map_err(Error::io("write", &path))?;
    Ok(id)
}
