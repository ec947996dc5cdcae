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

/// The numbers of the segments in the folder, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        numbers.extend(segment::number(&entry.path()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Checks every segment's header and the newest segment's entries, cuts a torn tail, and begins a
/// segment of our own: an earlier process's is never appended to.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, numbers: &[u64]) -> Result<Recovered, Error> {
    for (first, last) in gaps(numbers) {
        tracing::error!(spool = %dir.display(), first, last,
            "segments are missing between those of the spool; acked entries in them are lost, unless every consumer was past them");
    }
    let (mut sealed, mut torn_bytes, mut active) = (Vec::new(), 0, None);
    for &number in numbers {
        let path = segment::path(dir, number);
        let io = |action| Error::io(action, &path);
        let mut file = SegmentFile::open(dir, number).map_err(io("open"))?;
        let mut len = file.len().map_err(io("read"))?;
        check_header(&mut file, len, &path)?;
        let is_newest = Some(&number) == numbers.last();
        if is_newest && len == segment::HEADER_LEN {
            active = Some(Active::reopen(disk, dir, number)?);
            continue;
        }
        if is_newest {
            let end = mend_tail(disk, &mut file, &path, len)?;
            torn_bytes = len - end;
            len = end;
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

/// The numbers missing between these, from the first to the last of each gap.
fn gaps(numbers: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let pairs = numbers.iter().zip(numbers.iter().skip(1));
    pairs
        .filter(|(before, after)| after.saturating_sub(**before) > 1)
        .map(|(before, after)| (before + 1, after - 1))
}

/// Refuses a segment of another version. One that is damaged stays, however little is left of it:
/// its number must not be used again, since checkpoints may name it.
fn check_header(file: &mut SegmentFile, len: u64, path: &Path) -> Result<(), Error> {
    if len < segment::HEADER_LEN {
        tracing::warn!(segment = %path.display(), bytes = len,
            "a spool segment ends within its header: the process or the machine stopped while it was begun, or its entries are lost");
        return Ok(());
    }
    match file.version().map_err(Error::io("read", path))? {
        Some(version) if !SegmentFile::is_known(version) => Err(Error::UnknownVersion {
            path: path.to_owned(),
            version,
        }),
        Some(_) => Ok(()),
        None => {
            tracing::error!(segment = %path.display(),
                "a spool segment does not start as it should; its entries are still looked for");
            Ok(())
        }
    }
}

fn begin(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Active, Error> {
    Active::create(disk, dir, number).map_err(|fault| match fault {
        Fault::Full => Error::DiskFull,
        Fault::NoFiles => Error::OutOfFiles,
        Fault::Broken(reason) => Error::Broken { reason },
    })
}

/// Cuts a torn tail off the newest segment; says where it ends now.
fn mend_tail(disk: &dyn Disk, file: &mut SegmentFile, path: &Path, len: u64) -> Result<u64, Error> {
    let end = sound_end(file, len).map_err(Error::io("read", path))?;
    let mut log = disk.open(path).map_err(Error::io("open", path))?;
    if end < len {
        tracing::warn!(segment = %path.display(), at = end, bytes = len - end,
            "cut a torn tail off the spool: the process or the machine stopped during a write");
        log.cut(end).map_err(Error::io("cut", path))?;
    }
    // Entries that a killed process wrote but did not sync are handed out from now on.
    log.sync().map_err(Error::io("fsync", path))?;
    Ok(end)
}

/// Where the last sound entry ends.
fn sound_end(file: &mut SegmentFile, len: u64) -> io::Result<u64> {
    let mut at = segment::HEADER_LEN.min(len);
    while at < len {
        match file.step(at, len)? {
            Step::Entry(header, _) => at += header.frame_len(),
            Step::Skip(next) if next < len => at = next,
            Step::Skip(_) => break,
        }
    }
    Ok(at)
}

/// Removes the id of a folder without segments, if it has one. Somebody has removed them, and
/// numbers start at 1 again: what is appended from now on would lie before the old checkpoints.
pub(super) fn forget_id(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let path = dir.join("id");
    match disk.remove(&path) {
        Ok(()) => tracing::warn!(spool = %dir.display(),
            "the spool's segments are gone; it starts anew, with a new id: its checkpoints are void"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("remove", &path)(error)),
    }
    // Before a segment is begun: with one, the old id would count again.
    disk.sync_dir(dir).map_err(Error::io("fsync", dir))
}

/// The folder's random name, made when there is none.
pub(super) fn id(disk: &dyn Disk, dir: &Path) -> Result<String, Error> {
    let path = dir.join("id");
    match std::fs::read(&path).map(String::from_utf8) {
        Ok(Ok(id)) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => return Ok(id),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_found() {
        let found = |numbers: &[u64]| gaps(numbers).collect::<Vec<_>>();
        assert_eq!(found(&[3, 4, 6, 7, 10]), [(5, 5), (8, 9)]);
        assert_eq!(found(&[3, 4, 5]), [], "consumed ones are no gap");
        assert_eq!(found(&[0, 0, u64::MAX]), [(1, u64::MAX - 1)]);
        assert_eq!(found(&[]), []);
    }
}
