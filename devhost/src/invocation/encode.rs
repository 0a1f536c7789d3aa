//! Writes a JSON invocation: `{"Data":{…},"Metadata":{…}}`.
//!
//! Every scalar, text and array is JSON text inside a JSON string; objects are plain objects; bytes are plain base64. The
//! same rule serves Data and Metadata. Source of the format: the Functions host's custom handler code, as listed in the
//! conformance cases.
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use super::promote::promoted;
use crate::invoke::{Meta, Payload, TriggerValue};

const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const TICKS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");

/// What `sys` in the metadata tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct System<'a> {
    pub(super) function: &'a str,
    pub(super) now: OffsetDateTime,
    pub(super) guid: uuid::Uuid,
}

/// Which try of a retry policy an invocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryContext {
    /// 0 on the first try.
    pub(super) count: u32,
    /// `None` when the policy has no end.
    pub(super) max: Option<u32>,
}

/// The body of one invocation.
pub(super) fn body(payload: &Payload, system: System<'_>, retry: Option<RetryContext>) -> String {
    let mut data = Map::new();
    data.insert(payload.binding.clone(), value(&payload.value));
    let root = json!({ "Data": data, "Metadata": metadata(payload, system, retry) });
    newtonsoft(&root)
}

fn metadata(payload: &Payload, system: System<'_>, retry: Option<RetryContext>) -> Map<String, Value> {
    let mut facts = payload.metadata.clone();
    let has_own_sys = facts.iter().any(|(key, _)| key == "sys");
    if let (true, TriggerValue::Text(text)) = (payload.promote, &payload.value) {
        for (name, fact) in promoted(text) {
            match facts.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(&name)) {
                Some((_, have)) => *have = fact,
                None => facts.push((name, fact)),
            }
        }
    }
    let replaced_sys = facts.iter().any(|(key, _)| key.eq_ignore_ascii_case("sys"));
    let mut written: Map<String, Value> = facts
        .iter()
        .filter(|(key, _)| !key.to_ascii_lowercase().ends_with("trigger"))
        .map(|(key, fact)| (key.clone(), meta(fact)))
        .collect();
    if has_own_sys {
        written.insert("$sys".to_owned(), sys(system));
    } else if !replaced_sys {
        written.insert("sys".to_owned(), sys(system));
    }
    if let Some(retry) = retry {
        let max = retry.max.map_or(-1, i64::from);
        let context =
            json!({"RetryCount": retry.count, "MaxRetryCount": max, "Exception": null, "Instance": null, "State": {}});
        written.insert("RetryContext".to_owned(), context);
    }
    written
}

fn sys(system: System<'_>) -> Value {
    json!({
        "MethodName": system.function,
        "UtcNow": formatted(system.now, TICKS),
        "RandGuid": system.guid.hyphenated().to_string(),
    })
}

fn value(value: &TriggerValue) -> Value {
    match value {
        TriggerValue::Text(text) => as_text(&json!(text)),
        TriggerValue::Binary(bytes) => json!(BASE64.encode(bytes)),
        TriggerValue::Texts(texts) => as_text(&json!(texts)),
        TriggerValue::Binaries(bodies) => as_text(&bodies.iter().map(|it| BASE64.encode(it)).collect::<Value>()),
        TriggerValue::Object(object) => object.clone(),
    }
}

fn meta(fact: &Meta) -> Value {
    match fact {
        Meta::Text(text) => as_text(&json!(text)),
        Meta::Number(number) => as_text(&json!(number)),
        Meta::Moment(moment) => json!(formatted(*moment, SECONDS)),
        Meta::MomentOffset(moment) => json!(format!("{}+00:00", formatted(*moment, SECONDS))),
        Meta::Object(object) => object.clone(),
        Meta::Array(array) => as_text(array),
    }
}

/// A value as JSON text inside a JSON string.
fn as_text(value: &Value) -> Value {
    Value::String(newtonsoft(value))
}

fn formatted(moment: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    moment.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

/// Compact JSON with the host's escapes: beside what JSON demands it escapes NEL and the two Unicode line ends. They can
/// stand inside strings only, so they are replaced in the finished text.
fn newtonsoft(value: &Value) -> String {
    let text = value.to_string();
    if text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        text.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::uuid;

    use super::*;

    fn written(value: TriggerValue, metadata: Vec<(String, Meta)>, promote: bool) -> String {
        let payload = Payload { binding: "msg".to_owned(), value, metadata, promote };
        let system = System {
            function: "OnOrder",
            now: datetime!(2024-05-01 10:00:01.0000001 UTC),
            guid: uuid!("1c7a4f0e-1111-4222-8333-444455556666"),
        };
        body(&payload, system, None)
    }

    #[test]
    fn a_message_is_written_as_the_host_writes_it() {
        let metadata = vec![
            ("MessageId".to_owned(), Meta::Text("m-1".to_owned())),
            ("DeliveryCount".to_owned(), Meta::Number(1)),
            ("EnqueuedTimeUtc".to_owned(), Meta::Moment(datetime!(2024-05-01 10:00:00.7 UTC))),
        ];
        let body = "{\"orderId\":\"A-1\",\"note\":\"é \\\"x\\\"\\n/\"}";
        let expected = r#"{"Data":{"msg":"\"{\\\"orderId\\\":\\\"A-1\\\",\\\"note\\\":\\\"é \\\\\\\"x\\\\\\\"\\\\n/\\\"}\""},"Metadata":{"MessageId":"\"m-1\"","DeliveryCount":"1","EnqueuedTimeUtc":"2024-05-01T10:00:00","orderId":"\"A-1\"","note":"\"é \\\"x\\\"\\n/\"","sys":{"MethodName":"OnOrder","UtcNow":"2024-05-01T10:00:01.0000001Z","RandGuid":"1c7a4f0e-1111-4222-8333-444455556666"}}}"#;
        assert_eq!(written(TriggerValue::Text(body.to_owned()), metadata, true), expected);
    }

    #[test]
    fn bytes_batches_and_literals_have_their_own_depth_of_encoding() {
        let data = |value| {
            let text = written(value, Vec::new(), false);
            text[..text.find(",\"Metadata\"").unwrap()].to_owned()
        };
        assert_eq!(data(TriggerValue::Text("hello".to_owned())), r#"{"Data":{"msg":"\"hello\""}"#);
        assert_eq!(data(TriggerValue::Text("\"hello\"".to_owned())), r#"{"Data":{"msg":"\"\\\"hello\\\"\""}"#);
        assert_eq!(data(TriggerValue::Binary(vec![1, 2, 3])), r#"{"Data":{"msg":"AQID"}"#);
        assert_eq!(
            data(TriggerValue::Texts(vec!["{\"a\":1}".to_owned(), "x".to_owned()])),
            r#"{"Data":{"msg":"[\"{\\\"a\\\":1}\",\"x\"]"}"#
        );
        assert_eq!(data(TriggerValue::Text("\u{2028}".to_owned())), r#"{"Data":{"msg":"\"\\u2028\""}"#);
    }

    #[test]
    fn a_body_hides_metadata_and_may_replace_sys() {
        let metadata = vec![
            ("MessageId".to_owned(), Meta::Text("m-1".to_owned())),
            ("DeliveryCount".to_owned(), Meta::Number(1)),
            ("QueueTrigger".to_owned(), Meta::Text("dropped".to_owned())),
        ];
        let body = r#"{"messageid":"evil","DeliveryCount":99,"sys":null,"tags":[1]}"#;
        let text = written(TriggerValue::Text(body.to_owned()), metadata, true);
        assert!(
            text.contains(r#""Metadata":{"MessageId":"\"evil\"","DeliveryCount":"\"99\"","sys":{"MethodName""#),
            "{text}"
        );
        let text = written(TriggerValue::Text(r#"{"sys":{"a":1}}"#.to_owned()), Vec::new(), true);
        assert!(text.ends_with(r#""Metadata":{"sys":{"a":1}}}"#), "{text}");
    }
}
