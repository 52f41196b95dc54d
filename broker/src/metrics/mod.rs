//! Metrics, in Prometheus's (OpenMetrics) text.
//!
//! What happens often is counted where it happens, in atomics that the counting code holds ([`ApiMetrics`],
//! [`ConnectionMetrics`]); what others hold anyway is asked for at a scrape ([`Metrics::scrape_from`]). Every name begins
//! with `millpond_` (but for the `process_` ones, which are the same everywhere) and ends in its unit.

mod engine;
mod histogram;
mod process;
mod requests;
mod scraped;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
pub use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use engine::engine_samples;
pub use histogram::Histogram;
pub use requests::{ApiMetrics, Stage};
pub use scraped::{Sample, Value};

use requests::Requests;
use scraped::Scraped;

const PREFIX: &str = "millpond";

/// All metrics of one broker.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Requests,
    /// Of the Kafka listener.
    pub connections: ConnectionMetrics,
}

/// The figures of the connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    /// Open now.
    pub open: Gauge,
    /// Accepted since the start.
    pub accepted: Counter,
    /// Bytes of requests that are under way.
    pub queued_bytes: Gauge,
    closed: Family<ClosedLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedLabels {
    reason: &'static str,
}

impl ConnectionMetrics {
    /// Counts a connection that ended, or was not let in, for `reason`.
    pub fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&ClosedLabels { reason }).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Kafka connections open now", self.open.clone());
        registry.register("connections_accepted", "Kafka connections accepted", self.accepted.clone());
        let help = "Kafka connections ended or turned away, by reason";
        registry.register("connections_closed", help, self.closed.clone());
        let help = "Requests under way";
        registry.register_with_unit("queued_requests", help, Unit::Bytes, self.queued_bytes.clone());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Requests::default();
        let connections = ConnectionMetrics::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scraped(process::samples)));
        let ours = registry.sub_registry_with_prefix(PREFIX);
        ours.register_collector(Box::new(requests.clone()));
        connections.register(ours);
        Self { registry: Mutex::new(registry), requests, connections }
    }
}

impl Metrics {
    /// The counters of the API with this name.
    pub fn api(&self, name: &'static str) -> Arc<ApiMetrics> {
        self.requests.api(name)
    }

    /// Asks `samples` for its figures at every scrape.
    pub fn scrape_from(&self, samples: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.sub_registry_with_prefix(PREFIX).register_collector(Box::new(Scraped(samples)));
    }

    /// Everything, in OpenMetrics text.
    pub fn encode(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_are_told_by_api_error_and_stage() {
        let metrics = Metrics::default();
        let produce = metrics.api("Produce");
        metrics.api("Fetch");
        produce.request(100);
        produce.request(20);
        produce.response(7);
        produce.error("MESSAGE_TOO_LARGE");
        produce.stage(Stage::Wait, Duration::from_millis(1));
        let text = metrics.encode();
        for line in [
            "millpond_requests_total{api=\"Produce\"} 2",
            "millpond_request_bytes_total{api=\"Produce\"} 120",
            "millpond_response_bytes_total{api=\"Produce\"} 7",
            "millpond_request_errors_total{api=\"Produce\",error=\"MESSAGE_TOO_LARGE\"} 1",
            "millpond_request_stage_seconds_bucket{le=\"0.001024\",api=\"Produce\",stage=\"wait\"} 1",
            "millpond_request_stage_seconds_bucket{le=\"0.000512\",api=\"Produce\",stage=\"wait\"} 0",
            "millpond_request_stage_seconds_count{api=\"Produce\",stage=\"wait\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|have| have == line), "no line {line:?} in\n{text}");
        }
        assert!(!text.contains("Fetch"), "an API that was never asked for is told of");
    }

    #[test]
    fn one_api_has_one_set_of_counters() {
        let metrics = Metrics::default();
        assert!(Arc::ptr_eq(&metrics.api("Produce"), &metrics.api("Produce")));
    }

    #[test]
    fn figures_of_others_are_asked_for_at_each_scrape() {
        let metrics = Metrics::default();
        let groups = Gauge::<i64>::default();
        let held = groups.clone();
        metrics.scrape_from(move || {
            vec![
                Sample::gauge("groups", "Groups", u64::try_from(held.get()).unwrap()),
                Sample::counter("log_syncs", "Syncs of logs", 3),
            ]
        });
        groups.set(2);
        let text = metrics.encode();
        assert!(text.contains("\nmillpond_groups 2.0\n"), "{text}");
        assert!(text.contains("\nmillpond_log_syncs_total 3.0\n"), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn connections_are_told_by_the_reason_of_their_end() {
        let metrics = Metrics::default();
        metrics.connections.open.inc();
        metrics.connections.closed("idle");
        let text = metrics.encode();
        assert!(text.contains("millpond_connections 1\n"), "{text}");
        assert!(text.contains("millpond_connections_closed_total{reason=\"idle\"} 1\n"), "{text}");
    }
}
