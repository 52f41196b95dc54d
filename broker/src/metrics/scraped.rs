//! Figures that others hold and that are asked for when a scrape comes: storage's counters, the number of groups.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; `_total` is added to its name.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Without `millpond_` and `_total`; the unit comes last.
    pub name: &'static str,
    /// One line, without a full stop.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// The figure; seconds have fractions, all else is whole.
    pub value: f64,
}

impl Sample {
    /// A figure that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: Kind::Counter, value: as_f64(value) }
    }

    /// A figure that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: Kind::Gauge, value: as_f64(value) }
    }
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
            match sample.kind {
                Kind::Counter => {
                    let metric = encoder.encode_descriptor(sample.name, sample.help, None, MetricType::Counter)?;
                    ConstCounter::new(sample.value).encode(metric)?;
                }
                Kind::Gauge => {
                    let metric = encoder.encode_descriptor(sample.name, sample.help, None, MetricType::Gauge)?;
                    ConstGauge::new(sample.value).encode(metric)?;
                }
            }
        }
        Ok(())
    }
}
