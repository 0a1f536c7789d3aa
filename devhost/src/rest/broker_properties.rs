//! The `BrokerProperties` header and its JSON in a batch. Source: Service Bus REST reference, "Message headers and properties".
//!
//! What must stay true: a name this does not know is refused, because a property that is silently dropped is a message that is
//! silently wrong. Properties that only a receiver sees are accepted and ignored, as Service Bus does.
use serde::Deserialize;
use serde_json::Number;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::brokers::message::{Facts, Outgoing};
use crate::brokers::milliseconds;

/// What a sender may set. Times to live are seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct BrokerProperties {
    message_id: Option<String>,
    session_id: Option<String>,
    label: Option<String>,
    correlation_id: Option<String>,
    /// RFC 1123: `Sun, 22 Nov 2026 14:00:00 GMT`.
    scheduled_enqueue_time_utc: Option<String>,
    time_to_live: Option<Number>,
    to: Option<String>,
    reply_to: Option<String>,
    reply_to_session_id: Option<String>,
    pub(super) partition_key: Option<String>,
    // What only a receiver sees.
    #[serde(rename = "State")]
    _state: Option<serde_json::Value>,
    #[serde(rename = "DeliveryCount")]
    _delivery_count: Option<serde_json::Value>,
    #[serde(rename = "SequenceNumber")]
    _sequence_number: Option<serde_json::Value>,
    #[serde(rename = "EnqueuedSequenceNumber")]
    _enqueued_sequence_number: Option<serde_json::Value>,
    #[serde(rename = "EnqueuedTimeUtc")]
    _enqueued_time_utc: Option<serde_json::Value>,
    #[serde(rename = "LockToken")]
    _lock_token: Option<serde_json::Value>,
    #[serde(rename = "LockedUntilUtc")]
    _locked_until_utc: Option<serde_json::Value>,
}

impl BrokerProperties {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("BrokerProperties is not understood: {error}"))
    }

    /// Completed with content type, own properties and body by the caller.
    pub(super) fn into_message(self) -> Result<Outgoing, String> {
        Ok(Outgoing {
            message_id: self.message_id,
            session: self.session_id,
            scheduled_ms: self.scheduled_enqueue_time_utc.as_deref().map(scheduled_ms).transpose()?,
            time_to_live_ms: self.time_to_live.as_ref().map(life_ms).transpose()?,
            facts: Facts {
                subject: self.label,
                correlation_id: self.correlation_id,
                to: self.to,
                reply_to: self.reply_to,
                reply_to_session_id: self.reply_to_session_id,
                partition_key: self.partition_key,
                ..Facts::default()
            },
            body: Vec::new(),
        })
    }
}

fn scheduled_ms(text: &str) -> Result<i64, String> {
    OffsetDateTime::parse(text, &Rfc2822)
        .map(milliseconds)
        .map_err(|_| format!("ScheduledEnqueueTimeUtc is a time like `Sun, 22 Nov 2026 14:00:00 GMT`, not `{text}`"))
}

fn life_ms(seconds: &Number) -> Result<i64, String> {
    let life = match (seconds.as_u64(), seconds.as_f64()) {
        (Some(whole), _) => Some(std::time::Duration::from_secs(whole)),
        // A time to live beyond what a Duration holds, such as the largest .NET TimeSpan, is for ever.
        (None, Some(parts)) if parts > 0.0 => {
            Some(std::time::Duration::try_from_secs_f64(parts).unwrap_or(std::time::Duration::MAX))
        }
        _ => None,
    };
    let life = life.ok_or_else(|| format!("TimeToLive is a number of seconds above 0, not {seconds}"))?;
    Ok(i64::try_from(life.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<Outgoing, String> {
        BrokerProperties::parse(text)?.into_message()
    }

    #[test]
    fn both_spellings_of_a_time_are_read() {
        for zone in ["GMT", "+0000"] {
            let text = format!(r#"{{"ScheduledEnqueueTimeUtc":"Sun, 22 Nov 2026 14:00:00 {zone}"}}"#);
            assert_eq!(message(&text).unwrap().scheduled_ms, Some(1_795_356_000_000), "{zone}");
        }
        assert!(message(r#"{"ScheduledEnqueueTimeUtc":"2026-11-22T14:00:00Z"}"#).is_err());
    }

    #[test]
    fn lives_are_seconds() {
        assert_eq!(message(r#"{"TimeToLive":10}"#).unwrap().time_to_live_ms, Some(10_000));
        assert_eq!(message(r#"{"TimeToLive":1.5}"#).unwrap().time_to_live_ms, Some(1_500));
        assert_eq!(message(r#"{"TimeToLive":922337203685.47754}"#).unwrap().time_to_live_ms, Some(922_337_203_685_477));
        for text in [r#"{"TimeToLive":-1}"#, r#"{"TimeToLive":"10"}"#] {
            assert!(message(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_and_what_a_receiver_sees_is_ignored() {
        assert!(message(r#"{"Colour":"red"}"#).unwrap_err().contains("Colour"));
        assert!(message("[").is_err());
        let sent = message(r#"{"Label":"M1","State":"Active","MessageId":"m-1","DeliveryCount":0}"#).unwrap();
        assert_eq!((sent.message_id.as_deref(), sent.facts.subject.as_deref()), (Some("m-1"), Some("M1")));
    }
}
