//! Requests: how many of each API, how long each stage took, which errors were answered.
//!
//! Each API has its counters in one [`ApiMetrics`] that dispatch keeps beside the API's row, so that counting looks
//! nothing up. APIs that were never asked for are left out of a scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::histogram::Histogram;

/// What the time between a request's first byte and its answer's last goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the whole frame to the decoded request.
    Decode,
    /// What changes state: until the handler returned.
    Handle,
    /// What only waits: durability, data, members.
    Wait,
    /// Encoding and handing to the socket.
    Send,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Decode, Self::Handle, Self::Wait, Self::Send];

    fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Handle => "handle",
            Self::Wait => "wait",
            Self::Send => "send",
        }
    }
}

/// The counters of one API.
#[derive(Debug, Default)]
pub struct ApiMetrics {
    requests: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    stages: [Histogram; 4],
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl ApiMetrics {
    /// Counts a request that arrived, with its frame's length.
    pub fn request(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts an answer that was sent, with its frame's length.
    pub fn response(&self, bytes: u64) {
        self.response_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts how long a stage of a request took.
    pub fn stage(&self, stage: Stage, duration: Duration) {
        self.stages[stage as usize].observe(duration);
    }

    /// Counts an error in an answer, by Kafka's name for it. (Errors are rare: a lock is good enough.)
    pub fn error(&self, name: &'static str) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    fn was_asked(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }
}

/// The counters of all APIs.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    apis: Arc<Mutex<BTreeMap<&'static str, Arc<ApiMetrics>>>>,
}

impl Requests {
    pub(super) fn api(&self, name: &'static str) -> Arc<ApiMetrics> {
        self.apis.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }

    fn asked(&self) -> Vec<(&'static str, Arc<ApiMetrics>)> {
        let apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
        apis.iter().filter(|(_, api)| api.was_asked()).map(|(name, api)| (*name, api.clone())).collect()
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let apis = self.asked();
        counters(&mut encoder, "requests", "Requests received", None, &apis, |api| &api.requests)?;
        let bytes = Some(Unit::Bytes);
        counters(&mut encoder, "request", "Bytes of requests received", bytes.as_ref(), &apis, |api| {
            &api.request_bytes
        })?;
        counters(&mut encoder, "response", "Bytes of answers sent", bytes.as_ref(), &apis, |api| &api.response_bytes)?;
        errors(&mut encoder, &apis)?;
        stages(&mut encoder, &apis)
    }
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    apis: &[(&'static str, Arc<ApiMetrics>)],
    counter: impl Fn(&ApiMetrics) -> &AtomicU64,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (name, api) in apis {
        let value = ConstCounter::new(counter(api).load(Ordering::Relaxed));
        value.encode(family.encode_family(&[("api", *name)])?)?;
    }
    Ok(())
}

fn errors(encoder: &mut DescriptorEncoder<'_>, apis: &[(&'static str, Arc<ApiMetrics>)]) -> fmt::Result {
    let help = "Errors in answers, by Kafka's name";
    let mut family = encoder.encode_descriptor("request_errors", help, None, MetricType::Counter)?;
    for (name, api) in apis {
        for (error, count) in api.errors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = [("api", *name), ("error", *error)];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn stages(encoder: &mut DescriptorEncoder<'_>, apis: &[(&'static str, Arc<ApiMetrics>)]) -> fmt::Result {
    let help = "Time that requests spent in each stage";
    let unit = Unit::Seconds;
    let mut family = encoder.encode_descriptor("request_stage", help, Some(&unit), MetricType::Histogram)?;
    for (name, api) in apis {
        for stage in Stage::ALL {
            let labels = [("api", *name), ("stage", stage.name())];
            api.stages[stage as usize].encode(&mut family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
