mod damage;
mod faults;
mod faulty;
mod life;
mod model;
mod recovery;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use prometheus::Registry;

use super::{Config, Entry, Reader, Spool, disk::Disk, disk::RealDisk};
use crate::otlp::Signal;

fn small() -> Config {
    Config {
        segment_max_bytes: 1024,
        max_bytes: 64 * 1024,
    }
}

fn open(dir: &Path, config: &Config) -> Spool {
    open_on(Arc::new(RealDisk), dir, config)
}

fn open_on(disk: Arc<dyn Disk>, dir: &Path, config: &Config) -> Spool {
    Spool::open_on(disk, dir, config, &Registry::new()).unwrap()
}

fn body(number: u32, len: usize) -> Bytes {
    let mut body = format!("{number}:").into_bytes();
    body.resize(len, b'x');
    body.into()
}

async fn append(spool: &Spool, body: &Bytes) -> super::Position {
    let appender = spool.appender();
    appender
        .append(Signal::Traces, 5, body.clone(), 0)
        .await
        .unwrap()
}

fn drain(reader: &mut Reader) -> Vec<Entry> {
    std::iter::from_fn(|| reader.try_next().unwrap()).collect()
}

fn bodies(reader: &mut Reader) -> Vec<Bytes> {
    drain(reader).into_iter().map(|entry| entry.body).collect()
}

/// The segment files, oldest first.
fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "log"))
        .collect();
    paths.sort();
    paths
}
