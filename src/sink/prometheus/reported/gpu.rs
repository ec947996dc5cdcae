//! How busy GPUs are, as their agents report it over OTLP. What is not reported any more is not
//! shown any more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    Error, GaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::sink::names;

/// (name of the metric, what its value is of a whole): OpenTelemetry's own; the DCGM exporter's, as
/// the Collector forwards it; nvidia-smi's.
const NAMES: [(&str, f64); 4] = [
    ("hw.gpu.utilization", 1.0),
    ("gpu.utilization", 1.0),
    ("DCGM_FI_DEV_GPU_UTIL", 100.0),
    ("nvidia_smi_utilization_gpu_ratio", 1.0),
];
const KEPT_FOR: Duration = Duration::from_secs(180);
const MOST: usize = 256;

/// The divisor that makes a value of this metric a ratio, if it is about GPUs.
pub(super) fn whole(metric: &str) -> Option<f64> {
    let known = NAMES.iter().find(|(name, _)| *name == metric);
    known.map(|(_, whole)| *whole)
}

/// Attribute keys that tell GPUs apart.
pub(super) const IDS: [&str; 5] = ["hw.id", "gpu.id", "gpu", "gpu.index", "uuid"];

type Seen = BTreeMap<(&'static str, String), (f64, Instant)>;

#[derive(Debug)]
pub(super) struct Gpus(Arc<Mutex<Seen>>);

impl Gpus {
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let name = names::GPU;
        let seen = Arc::new(Mutex::new(Seen::new()));
        registry.register(Box::new(Shown {
            seen: Arc::clone(&seen),
            gauges: GaugeVec::new(Opts::new(name.name, name.help), &name.labels)?,
        }))?;
        Ok(Self(seen))
    }

    /// False if there are too many already.
    pub fn take(&self, service: &'static str, gpu: &str, ratio: f64, now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (service, gpu.chars().take(64).collect());
        let is_room = seen.len() < MOST || seen.contains_key(&key);
        if is_room {
            seen.insert(key, (ratio.clamp(0.0, 1.0), now));
        }
        is_room
    }
}

struct Shown {
    seen: Arc<Mutex<Seen>>,
    gauges: GaugeVec,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (_, at)| at.elapsed() < KEPT_FOR);
        self.gauges.reset();
        for ((service, gpu), (ratio, _)) in &*seen {
            let values: [&str; 2] = [service, gpu];
            self.gauges.with_label_values(&values).set(*ratio);
        }
        self.gauges.collect()
    }
}
