//! A metric of the table, in a registry, with a bound on its series.

use prometheus::{
    Counter, CounterVec, Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec,
    IntCounter, IntCounterVec, Opts, Registry, core::Collector,
};
use rustc_hash::FxHashMap;

use crate::sink::{
    labels::OTHER,
    names::{FREE_LABELS, Name},
};

/// Series of one metric. Labels have budgets of their own; this bounds their combinations.
const MAX_SERIES: usize = 5_000;

/// Makes families.
pub(super) struct Maker<'a> {
    pub registry: &'a Registry,
    /// Counts what a family folds.
    pub folded: IntCounter,
}

/// The three kinds of metric, as one.
pub(super) trait Kind: Collector + Clone + 'static {
    /// One series.
    type Series: std::fmt::Debug;
    /// The series with these label values, as many as the metric has labels.
    fn series(&self, values: &[&str]) -> Self::Series;
}

macro_rules! kind {
    ($vec:ty, $series:ty) => {
        impl Kind for $vec {
            type Series = $series;
            fn series(&self, values: &[&str]) -> $series {
                self.with_label_values(values)
            }
        }
    };
}
kind!(IntCounterVec, IntCounter);
kind!(CounterVec, Counter);
kind!(HistogramVec, Histogram);
kind!(GaugeVec, Gauge);

/// A metric with `N` labels.
#[derive(Debug)]
pub(super) struct Family<V: Kind, const N: usize> {
    vec: V,
    free: [bool; N],
    /// By where the label values stand, which is for ever, and their lengths: the vector's own way to
    /// a series costs several times as much.
    series: FxHashMap<[(usize, usize); N], V::Series>,
    folded: IntCounter,
}

pub(super) type IntCounters<const N: usize> = Family<IntCounterVec, N>;
pub(super) type Counters<const N: usize> = Family<CounterVec, N>;
pub(super) type Gauges<const N: usize> = Family<GaugeVec, N>;
pub(super) type Histograms<const N: usize> = Family<HistogramVec, N>;

impl Maker<'_> {
    pub fn int_counters<const N: usize>(&self, name: &Name<N>) -> Result<IntCounters<N>, Error> {
        self.family(
            name,
            IntCounterVec::new(Opts::new(name.name, name.help), &name.labels)?,
        )
    }

    pub fn counters<const N: usize>(&self, name: &Name<N>) -> Result<Counters<N>, Error> {
        self.family(
            name,
            CounterVec::new(Opts::new(name.name, name.help), &name.labels)?,
        )
    }

    pub fn gauges<const N: usize>(&self, name: &Name<N>) -> Result<Gauges<N>, Error> {
        self.family(
            name,
            GaugeVec::new(Opts::new(name.name, name.help), &name.labels)?,
        )
    }

    pub fn histograms<const N: usize>(
        &self,
        name: &Name<N>,
        buckets: &[f64],
    ) -> Result<Histograms<N>, Error> {
        let opts = HistogramOpts::new(name.name, name.help).buckets(buckets.to_vec());
        self.family(name, HistogramVec::new(opts, &name.labels)?)
    }

    fn family<V: Kind, const N: usize>(
        &self,
        name: &Name<N>,
        vec: V,
    ) -> Result<Family<V, N>, Error> {
        self.registry.register(Box::new(vec.clone()))?;
        if N == 0 {
            // Shown as zero from the start.
            vec.series(&[]);
        }
        Ok(Family {
            vec,
            free: name.labels.map(|label| FREE_LABELS.contains(&label)),
            series: FxHashMap::default(),
            folded: self.folded.clone(),
        })
    }
}

impl<V: Kind, const N: usize> Family<V, N> {
    /// The series with these label values.
    pub fn with(&mut self, mut values: [&'static str; N]) -> &V::Series {
        let mut key = key(values);
        let is_full = self.series.len() >= MAX_SERIES && self.free.contains(&true);
        if is_full && !self.series.contains_key(&key) {
            self.folded.inc();
            for (value, free) in values.iter_mut().zip(self.free) {
                *value = if free { OTHER } else { value };
            }
            key = self::key(values);
        }
        let vec = &self.vec;
        self.series
            .entry(key)
            .or_insert_with(|| vec.series(&values))
    }
}

/// What text that never goes is known by.
fn key<const N: usize>(values: [&'static str; N]) -> [(usize, usize); N] {
    values.map(|value| (value.as_ptr().addr(), value.len()))
}

impl<const N: usize> IntCounters<N> {
    /// Shows these series as zero, so that `rate()` sees the first event.
    pub fn start_at_zero(mut self, all: impl IntoIterator<Item = [&'static str; N]>) -> Self {
        for values in all {
            self.with(values);
        }
        self
    }
}
