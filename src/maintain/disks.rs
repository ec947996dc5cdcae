//! Whether there is room: how many days the disks last at the pace of the last days.
//!
//! | disk | what fills it | how much is free |
//! |---|---|---|
//! | `data` | the spool, and the SQLite file if it is on the same disk | asked of the system |
//! | `store` | a SQLite file on a disk of its own | asked of the system |
//! | `store` | the Postgres database | what the settings let it take, less what it takes |
//!
//! What is not known has no metric: a day count needs an hour of samples, and starts anew with the
//! process. What other programs write is seen as room that is gone, not foreseen.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::HumanBytes;
use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};
use tokio_util::sync::CancellationToken;

use super::forecast::{Forecast, NEVER_DAYS};
use crate::{spool::Spool, store::Store};

/// Metric: days until the disk is full; labels `disk`. It first appears after an hour.
pub const DAYS_LEFT: &str = "spanledger_disk_days_left";

const EVERY: Duration = Duration::from_secs(300);
/// While the store is not connected: it may be at any moment, and its size is then known.
const SOON: Duration = Duration::from_secs(1);
/// How long the store may take to say how large it is.
const PATIENCE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// With fewer days left than this the log says so at once, as a warning.
const FEW_DAYS: f64 = 7.0;

/// Looks at the disks.
#[derive(Debug)]
pub struct Disks {
    store: Arc<Store>,
    spool: Arc<Spool>,
    data_dir: PathBuf,
    /// What a Postgres database may take, bytes.
    capacity: Option<u64>,
    data_disk: Watched,
    store_disk: Watched,
    metrics: Metrics,
}

impl Disks {
    /// Ready to run. `capacity`: the bytes that a Postgres database may take, if that is known.
    pub fn new(
        store: Arc<Store>,
        spool: Arc<Spool>,
        data_dir: PathBuf,
        capacity: Option<u64>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let store_name = match store.file() {
            Some(_) => "the disk of the SQLite file",
            None => "the database",
        };
        Ok(Self {
            store,
            spool,
            data_dir,
            capacity,
            data_disk: Watched::new("data", "the disk of the data folder"),
            store_disk: Watched::new("store", store_name),
            metrics: Metrics::new(registry)?,
        })
    }

    /// Looks every five minutes, until `ended`.
    pub async fn run(mut self, ended: CancellationToken) {
        let look_on = async {
            loop {
                let again = match self.store.is_connected() {
                    true => EVERY,
                    false => SOON,
                };
                self.look(Instant::now()).await;
                tokio::time::sleep(again).await;
            }
        };
        tokio::select! {
            () = ended.cancelled() => {}
            () = look_on => {}
        }
    }

    async fn look(&mut self, now: Instant) {
        let stored = self.stored().await;
        let spooled = self.spool.bytes();
        let file = self.store.file();
        let is_one_disk = file.is_some_and(|file| is_one_disk(&self.data_dir, file));
        let used = match (file, stored) {
            // Whether it is on this disk is not known before it is there.
            (Some(_), None) => None,
            (Some(_), Some(stored)) if is_one_disk => Some(stored.saturating_add(spooled)),
            _ => Some(spooled),
        };
        let free = free(&self.data_dir);
        self.data_disk.look(now, used, free, &self.metrics);
        let room = match (file, stored) {
            (_, None) => None,
            // Told as the data folder's.
            (Some(_), _) if is_one_disk => None,
            (Some(file), _) => file.parent().and_then(self::free),
            (None, Some(stored)) => self.capacity.map(|bytes| bytes.saturating_sub(stored)),
        };
        self.store_disk.look(now, stored, room, &self.metrics);
        if let Some(stored) = stored {
            let growth = self.store_disk.forecast.growth();
            self.metrics.store(stored, growth);
        }
    }

    /// The store's size; `None` if it can't be told now.
    async fn stored(&self) -> Option<u64> {
        if !self.store.is_connected() {
            return None;
        }
        match tokio::time::timeout(PATIENCE, self.store.bytes()).await {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not ask how large the store is");
                None
            }
            Err(_) => {
                tracing::warn!("the store takes too long to say how large it is");
                None
            }
        }
    }
}

/// One disk, or what stands for one.
#[derive(Debug)]
struct Watched {
    disk: &'static str,
    /// In the log.
    name: &'static str,
    forecast: Forecast,
    told: Told,
}

impl Watched {
    fn new(disk: &'static str, name: &'static str) -> Self {
        Self {
            disk,
            name,
            forecast: Forecast::default(),
            told: Told::default(),
        }
    }

    fn look(&mut self, now: Instant, used: Option<u64>, free: Option<u64>, metrics: &Metrics) {
        if let Some(used) = used {
            self.forecast.add(now, used, free);
        }
        let days = self.forecast.days_left();
        metrics.disk(self.disk, free, days);
        let Some(line) = line(self.name, free, self.forecast.growth(), days) else {
            return;
        };
        if self.told.is_due(now, days) {
            match days {
                Some(days) if days < FEW_DAYS => tracing::warn!(disk = self.disk, "{line}"),
                _ => tracing::info!(disk = self.disk, "{line}"),
            }
        }
    }
}

/// What the log says; `None` while there is nothing to say.
fn line(name: &str, free: Option<u64>, growth: Option<f64>, days: Option<f64>) -> Option<String> {
    let (free, days) = (HumanBytes(free?), days?);
    let more = HumanBytes(growth.unwrap_or_default().max(0.0) as u64);
    Some(match days {
        0.0 => format!("{name} is full"),
        NEVER_DAYS.. => format!("{name} does not fill up at this pace: {free} free"),
        _ => {
            format!("{name} is full in {days:.1} days at this pace: {free} free, {more} more a day")
        }
    })
}

/// When it was said: once a day, and at once when few days are left.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    few: bool,
}

impl Told {
    fn is_due(&mut self, now: Instant, days: Option<f64>) -> bool {
        let few = days.is_some_and(|days| days < FEW_DAYS);
        if self.at.is_none_or(|at| now.duration_since(at) >= DAY) {
            *self = Self { at: Some(now), few };
            return true;
        }
        // To and fro over the limit is told once a day, too.
        let fell = few && !self.few;
        self.few |= few;
        fell
    }
}

/// The gauges. Those without labels are vectors, too: without a value they are not shown as 0.
#[derive(Debug)]
struct Metrics {
    free: IntGaugeVec,
    days_left: GaugeVec,
    store_bytes: IntGaugeVec,
    store_growth: GaugeVec,
}

const NO_LABELS: &[&str] = &[];

impl Metrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let bytes = |name, help, labels| IntGaugeVec::new(Opts::new(name, help), labels);
        let number = |name, help, labels| GaugeVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            free: bytes(
                "spanledger_disk_free_bytes",
                "Bytes free for more, where that is known.",
                &["disk"],
            )?,
            days_left: number(
                DAYS_LEFT,
                "Days until the disk is full, at the pace of the last three days; 3650: ten years or more, or never.",
                &["disk"],
            )?,
            store_bytes: bytes(
                "spanledger_store_bytes",
                "Size of the Postgres database, or of the SQLite file with its log.",
                NO_LABELS,
            )?,
            store_growth: number(
                "spanledger_store_growth_bytes_per_day",
                "How much larger the store gets in a day, at the pace of the last three days.",
                NO_LABELS,
            )?,
        };
        registry.register(Box::new(metrics.free.clone()))?;
        registry.register(Box::new(metrics.days_left.clone()))?;
        registry.register(Box::new(metrics.store_bytes.clone()))?;
        registry.register(Box::new(metrics.store_growth.clone()))?;
        Ok(metrics)
    }

    fn disk(&self, disk: &str, free: Option<u64>, days: Option<f64>) {
        if let Some(free) = free {
            let free = free.try_into().unwrap_or(i64::MAX);
            self.free.with_label_values(&[disk]).set(free);
        }
        if let Some(days) = days {
            self.days_left.with_label_values(&[disk]).set(days);
        }
    }

    fn store(&self, bytes: u64, growth: Option<f64>) {
        let bytes = bytes.try_into().unwrap_or(i64::MAX);
        self.store_bytes.with_label_values(NO_LABELS).set(bytes);
        if let Some(growth) = growth {
            self.store_growth.with_label_values(NO_LABELS).set(growth);
        }
    }
}

/// Bytes that we may still write to the disk of this folder.
fn free(folder: &Path) -> Option<u64> {
    match fs4::available_space(folder) {
        Ok(free) => Some(free),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "could not ask how much of the disk is free");
            None
        }
    }
}

/// True if both are on one disk; false, too, where that can't be asked.
fn is_one_disk(folder: &Path, file: &Path) -> bool {
    let disk = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let folder = disk(folder);
    folder.is_some() && folder == disk(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_it_in_plain_words() {
        let say = |free, growth, days| line("the disk", free, growth, days);
        let gib = |n: f64| n * f64::from(1 << 30);
        assert_eq!(
            say(Some(gib(40.0) as u64), Some(gib(3.2)), Some(12.5)).unwrap(),
            "the disk is full in 12.5 days at this pace: 40.00 GiB free, 3.20 GiB more a day"
        );
        assert_eq!(
            say(Some(gib(40.0) as u64), Some(-5.0), Some(NEVER_DAYS)).unwrap(),
            "the disk does not fill up at this pace: 40.00 GiB free"
        );
        assert_eq!(say(Some(0), None, Some(0.0)).unwrap(), "the disk is full");
        assert_eq!(say(Some(7), None, None), None, "no pace yet");
        assert_eq!(say(None, Some(7.0), None), None, "nobody knows the disk");
    }

    #[tokio::test]
    async fn days_are_shown_after_an_hour_of_looks_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let spool = Spool::open(&folder.path().join("spool"), &Default::default(), &registry);
        let spool = Arc::new(spool.unwrap());
        let file = folder.path().join("rows.db");
        let url = format!("sqlite://{}", file.display()).into();
        let store = Arc::new(
            Store::new(
                crate::store::Config {
                    url,
                    ..Default::default()
                },
                &registry,
            )
            .unwrap(),
        );
        store.connect().await.unwrap();
        let data_dir = folder.path().to_owned();
        let mut disks = Disks::new(store, spool, data_dir, None, &registry).unwrap();
        let value = |name: &str| {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == name)?;
            let [metric] = family.get_metric() else {
                panic!("{name}: one disk, one number: {family:?}");
            };
            Some(metric.get_gauge().get_value())
        };
        let start = Instant::now();
        // The log beside the file grows by 1 MB from look to look; it is never read back.
        let grown = std::fs::File::options()
            .append(true)
            .open(folder.path().join("rows.db-wal"));
        let grown = grown.unwrap();
        for look in 0..=12_u32 {
            let length = 10_000_000 + u64::from(look) * 1_000_000;
            grown.set_len(length).unwrap();
            let bytes = length as f64 + file.metadata().unwrap().len() as f64;
            assert_eq!(value(DAYS_LEFT), None, "before look {look}");
            disks.look(start + EVERY * look).await;
            assert_eq!(value("spanledger_store_bytes"), Some(bytes));
        }
        let growth = value("spanledger_store_growth_bytes_per_day").unwrap();
        assert!((growth - 288e6).abs() < 1.0, "{growth}");
        let (free, days) = (value("spanledger_disk_free_bytes"), value(DAYS_LEFT));
        let wanted = (free.unwrap() / growth).min(NEVER_DAYS);
        assert!(
            (days.unwrap() - wanted).abs() < 0.1,
            "{days:?}, not {wanted}"
        );
    }

    #[test]
    fn it_is_told_once_a_day_and_when_few_days_are_left() {
        let (start, mut told) = (Instant::now(), Told::default());
        let mut is_due =
            |hours: u64, days| told.is_due(start + Duration::from_secs(3600 * hours), Some(days));
        assert!(is_due(0, 20.0));
        assert!(!is_due(1, 19.0));
        assert!(is_due(2, 6.9));
        assert!(!is_due(3, 7.1));
        assert!(!is_due(4, 6.9), "to and fro");
        assert!(is_due(24, 8.0));
        assert!(is_due(25, 6.0));
        assert!(!is_due(47, 5.0));
        assert!(is_due(48, 5.0));
    }
}
