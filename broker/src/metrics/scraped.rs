//! Figures that others hold and that are asked for when a scrape comes: storage's counters, the number of groups.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// One figure.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Without `millpond_` and `_total`; the unit comes last.
    pub name: &'static str,
    /// One line, without a full stop.
    pub help: &'static str,
    /// The figure.
    pub value: Value,
}

/// A figure, by how it moves.
#[derive(Clone, Debug)]
pub enum Value {
    /// It only grows; `_total` is added to its name.
    Counter(f64),
    /// It goes up and down.
    Gauge(f64),
    /// Several that go up and down, each with the value of the label that tells them apart.
    Gauges(&'static str, Vec<(String, f64)>),
    /// Several that only grow.
    Counters(&'static str, Vec<(String, f64)>),
    /// Many: their sum, and how many fell into the buckets with these upper bounds (`f64::MAX` for none).
    Histogram(f64, Vec<(f64, u64)>),
}

impl Sample {
    /// A figure that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, value: Value::Counter(as_f64(value)) }
    }

    /// A figure that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, value: Value::Gauge(as_f64(value)) }
    }

    /// Figures that go up and down, by a label.
    pub fn gauges(name: &'static str, help: &'static str, label: &'static str, values: Vec<(String, u64)>) -> Self {
        Self { name, help, value: Value::Gauges(label, labelled(values)) }
    }

    /// Figures that only grow, by a label.
    pub fn counters(name: &'static str, help: &'static str, label: &'static str, values: Vec<(String, u64)>) -> Self {
        Self { name, help, value: Value::Counters(label, labelled(values)) }
    }

    /// Many figures: their sum, and how many fell into each bucket.
    pub fn histogram(name: &'static str, help: &'static str, sum: f64, buckets: Vec<(f64, u64)>) -> Self {
        Self { name, help, value: Value::Histogram(sum, buckets) }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match self.value {
            Value::Counter(_) | Value::Counters(..) => MetricType::Counter,
            Value::Gauge(_) | Value::Gauges(..) => MetricType::Gauge,
            Value::Histogram(..) => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        match &self.value {
            Value::Counter(value) => metric.encode_counter::<NoLabelSet, _, f64>(value, None),
            Value::Gauge(value) => metric.encode_gauge(value),
            Value::Gauges(label, values) => values
                .iter()
                .try_for_each(|(is, value)| metric.encode_family(&[(*label, is.as_str())])?.encode_gauge(value)),
            Value::Counters(label, values) => values.iter().try_for_each(|(is, value)| {
                metric.encode_family(&[(*label, is.as_str())])?.encode_counter::<NoLabelSet, _, f64>(value, None)
            }),
            Value::Histogram(sum, buckets) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }
}

fn labelled(values: Vec<(String, u64)>) -> Vec<(String, f64)> {
    values.into_iter().map(|(label, value)| (label, as_f64(value))).collect()
}

/// Prometheus knows only floating point; above 2⁵³ the last digits are lost, which no graph shows.
#[expect(clippy::cast_precision_loss, reason = "the exposition format has no other numbers")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

/// Whoever holds the figures.
pub(super) struct Scraped<F>(pub(super) F);

impl<F> fmt::Debug for Scraped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scraped")
    }
}

impl<F: Fn() -> Vec<Sample> + Send + Sync + 'static> Collector for Scraped<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for sample in self.0() {
            sample.encode(&mut encoder)?;
        }
        Ok(())
    }
}
