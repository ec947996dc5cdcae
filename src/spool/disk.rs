//! The file system as the writer sees it, so that tests can make it fail.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    path::Path,
};

/// Creates, removes and syncs.
pub(super) trait Disk: Send + Sync {
    /// A new file, open for appending; fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// An existing file, open for appending.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file that is appended to.
pub(super) trait LogFile: Send {
    /// Appends some of the bytes; says how many.
    fn write(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Makes all that was written durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// Makes a folder and those above it that are missing. The names of the new ones are durable on
/// return: else a power cut could take the folder, with all that was synced in it.
pub(super) fn make_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
    std::fs::create_dir_all(path)?;
    for parent in new.into_iter().filter_map(Path::parent) {
        match parent.as_os_str().is_empty() {
            true => disk.sync_dir(Path::new("."))?,
            false => disk.sync_dir(parent)?,
        }
    }
    Ok(())
}

/// The operating system's.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl LogFile for File {
    fn write(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_vectored(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
