//! The listener settings of host.json (`extensions.serviceBus`, `extensions.eventHubs`).
//!
//! What must stay true: a setting that changes what a handler sees is either obeyed or refused by name. Settings about the wire to
//! Azure (prefetch, transport, retries of the client) mean nothing here and are passed over.
use std::time::Duration;

use serde_json::Value;

/// How much a listener does at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one queue in handling at once (cardinality one, no sessions).
    pub concurrent_calls: usize,
    /// Sessions of one queue in handling at once.
    pub concurrent_sessions: usize,
    /// Messages in one invocation (cardinality many).
    pub message_batch: usize,
    /// How long locks are renewed while an invocation runs.
    pub renewal: Duration,
    /// Events in one batch.
    pub event_batch: usize,
    /// Events that a batch waits for, and how long.
    pub event_batch_min: usize,
    pub event_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_calls: 16,
            concurrent_sessions: 8,
            message_batch: 1_000,
            renewal: Duration::from_secs(300),
            event_batch: 100,
            event_batch_min: 1,
            event_wait: Duration::from_secs(60),
        }
    }
}

/// Settings that are played in one way only: name and the one value.
const FIXED: [(&str, &str, &str); 4] = [
    ("serviceBus", "autoCompleteMessages", "true"),
    ("serviceBus", "maxConcurrentCallsPerSession", "1"),
    ("serviceBus", "minMessageBatchSize", "1"),
    ("eventHubs", "batchCheckpointFrequency", "1"),
];

/// Longest that a batch may wait.
const WAIT_MAX: Duration = Duration::from_secs(600);

impl Limits {
    /// Reads the whole host.json.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn from_host_json(host: &Value) -> Result<Self, String> {
        let extensions = host.get("extensions").unwrap_or(&Value::Null);
        for (section, name, only) in FIXED {
            let set = extensions.get(section).and_then(|s| s.get(name));
            if let Some(value) = set.map(Value::to_string).filter(|value| value != only) {
                return Err(format!("host.json: `{section}.{name}` is played as {only} only, not as {value}"));
            }
        }
        let first = extensions.get("eventHubs").and_then(|s| s.get("initialOffsetOptions")).and_then(|o| o.get("type"));
        if let Some(value) = first.filter(|value| value.as_str() != Some("fromStart")) {
            return Err(format!(
                "host.json: `eventHubs.initialOffsetOptions` is played as fromStart only, not as {value}"
            ));
        }
        let number = |section: &str, name: &str, default: usize, most: u64| match extensions
            .get(section)
            .and_then(|s| s.get(name))
        {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .filter(|n| (1..=most).contains(n))
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| format!("host.json: `{section}.{name}` is 1 to {most}, not {value}")),
        };
        let fresh = Self::default();
        let limits = Self {
            concurrent_calls: number("serviceBus", "maxConcurrentCalls", fresh.concurrent_calls, 10_000)?,
            concurrent_sessions: number("serviceBus", "maxConcurrentSessions", fresh.concurrent_sessions, 10_000)?,
            message_batch: number("serviceBus", "maxMessageBatchSize", fresh.message_batch, 10_000)?,
            event_batch: number("eventHubs", "maxEventBatchSize", fresh.event_batch, 10_000)?,
            event_batch_min: number("eventHubs", "minEventBatchSize", fresh.event_batch_min, 10_000)?,
            event_wait: span(extensions, "eventHubs", "maxWaitTime")?.unwrap_or(fresh.event_wait),
            renewal: span(extensions, "serviceBus", "maxAutoLockRenewalDuration")?.unwrap_or(fresh.renewal),
        };
        if limits.event_batch_min > limits.event_batch {
            return Err("host.json: `eventHubs.minEventBatchSize` is larger than `maxEventBatchSize`".to_owned());
        }
        if limits.event_wait > WAIT_MAX {
            return Err("host.json: `eventHubs.maxWaitTime` is ten minutes at most".to_owned());
        }
        Ok(limits)
    }
}

fn span(extensions: &Value, section: &str, name: &str) -> Result<Option<Duration>, String> {
    let Some(value) = extensions.get(section).and_then(|it| it.get(name)) else { return Ok(None) };
    let parsed = value.as_str().and_then(clock_duration);
    parsed.map(Some).ok_or_else(|| format!("host.json: `{section}.{name}` is a time like \"00:05:00\", not {value}"))
}

/// `hh:mm:ss` of a .NET TimeSpan.
fn clock_duration(text: &str) -> Option<Duration> {
    let parts: Vec<u64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    (*hours < 24 && *minutes < 60 && *seconds < 60).then(|| Duration::from_secs(hours * 3_600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_played_is_refused_by_name() {
        assert_eq!(Limits::from_host_json(&json!({})), Ok(Limits::default()));
        let set = json!({"extensions":{"serviceBus":{"maxConcurrentCalls":2,"maxAutoLockRenewalDuration":"00:01:00",
            "autoCompleteMessages":true,"prefetchCount":0},"eventHubs":{"maxEventBatchSize":10,"minEventBatchSize":10,
            "maxWaitTime":"00:00:20"}}});
        let limits = Limits::from_host_json(&set).unwrap();
        assert_eq!((limits.concurrent_calls, limits.event_batch, limits.renewal.as_secs()), (2, 10, 60));
        assert_eq!((limits.event_batch_min, limits.event_wait.as_secs()), (10, 20));
        for (section, name, value) in [
            ("serviceBus", "autoCompleteMessages", json!(false)),
            ("serviceBus", "maxConcurrentCalls", json!(0)),
            ("serviceBus", "maxAutoLockRenewalDuration", json!("5m")),
            ("eventHubs", "batchCheckpointFrequency", json!(2)),
            ("eventHubs", "minEventBatchSize", json!(101)),
            ("eventHubs", "maxWaitTime", json!("00:10:01")),
            ("eventHubs", "maxWaitTime", json!(20)),
            ("eventHubs", "initialOffsetOptions", json!({"type": "fromEnd"})),
        ] {
            let fault = Limits::from_host_json(&json!({"extensions":{section:{name:value}}})).unwrap_err();
            assert!(fault.contains(name), "{fault}");
        }
    }
}
