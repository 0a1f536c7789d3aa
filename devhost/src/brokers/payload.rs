//! What a message or event looks like to the invocation: value and metadata (protocol note, section 3.5).
//!
//! What must stay true: keys, casing and kinds are the note's; a fact that a message does not have is left out (cardinality one) or
//! is null in its array (cardinality many).
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use super::hubs::Event;
use super::message::{Delivery, Facts};
use super::moment;
use crate::functions::{Cardinality, DataType, Entity, EventHubTrigger, Function, ServiceBusTrigger, Trigger};
use crate::invoke::{Meta, Payload, TriggerValue};

/// The host of every namespace on this machine.
const NAMESPACE: &str = "localhost";
/// `DateTime.MaxValue` to the second: when a message without a time to live expires.
pub(super) const FOREVER: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// A queue's name or `topic/subscription`.
pub(super) fn place(entity: &Entity) -> String {
    match entity {
        Entity::Queue(name) => name.clone(),
        Entity::Subscription { topic, name } => super::entities::subscription(topic, name),
    }
}

/// The payload that `POST /admin/functions/{name}` makes of its `input`: a message or event with made-up facts, which passes no
/// queue. `None` for a function that no message starts.
#[must_use]
pub fn made_up(function: &Function, input: &str, now: OffsetDateTime) -> Option<Payload> {
    match &function.trigger {
        Trigger::ServiceBus(trigger) => {
            let id = || uuid::Uuid::new_v4().to_string();
            let delivery = Delivery {
                entity: place(&trigger.entity),
                sequence: 1,
                token: id(),
                delivery_count: 1,
                message_id: id(),
                session: trigger.sessions.then(id),
                enqueued_ms: super::milliseconds(now),
                expires_ms: None,
                facts: Facts::default(),
                body: input.as_bytes().to_vec(),
            };
            Some(match trigger.cardinality {
                Cardinality::One => message(function, trigger, &delivery),
                Cardinality::Many => messages(function, trigger, &[delivery]),
            })
        }
        Trigger::EventHub(trigger) => {
            let event = Event {
                sequence: 0,
                offset: 0,
                enqueued_ms: super::milliseconds(now),
                key: None,
                properties: Map::new(),
                body: input.as_bytes().to_vec(),
            };
            Some(match trigger.cardinality {
                Cardinality::One => one_event(function, trigger, 0, &event),
                Cardinality::Many => events(function, trigger, 0, &[event]),
            })
        }
        Trigger::Http(_) | Trigger::Timer(_) => None,
    }
}

fn value(body: &[u8], data_type: DataType) -> TriggerValue {
    match data_type {
        // The host falls back to replacement characters where a body is not UTF-8; so does this.
        DataType::Text => TriggerValue::Text(String::from_utf8_lossy(body).into_owned()),
        DataType::Binary => TriggerValue::Binary(body.to_vec()),
    }
}

fn values<'a>(bodies: impl Iterator<Item = &'a [u8]>, data_type: DataType) -> TriggerValue {
    match data_type {
        DataType::Text => TriggerValue::Texts(bodies.map(|body| String::from_utf8_lossy(body).into_owned()).collect()),
        DataType::Binary => TriggerValue::Binaries(bodies.map(<[u8]>::to_vec).collect()),
    }
}

fn actors(entity: &str) -> Vec<(String, Meta)> {
    let empty = || Meta::Object(json!({}));
    let client = json!({"FullyQualifiedNamespace": NAMESPACE, "IsClosed": false, "TransportType": 0,
                        "Identifier": format!("{NAMESPACE}-{entity}")});
    ["MessageReceiver", "MessageSession", "MessageActions", "SessionActions", "ReceiveActions"]
        .map(|name| (name.to_owned(), empty()))
        .into_iter()
        .chain([("Client".to_owned(), Meta::Object(client))])
        .collect()
}

/// One message for one invocation.
pub(super) fn message(function: &Function, trigger: &ServiceBusTrigger, delivery: &Delivery) -> Payload {
    let mut metadata = actors(&delivery.entity);
    let facts = &delivery.facts;
    let expires = delivery.expires_ms.map_or(FOREVER, moment);
    let enqueued = moment(delivery.enqueued_ms);
    let properties = Value::Object(facts.properties.clone());
    let known = [
        ("DeliveryCount", Meta::Number(delivery.delivery_count)),
        ("LockToken", Meta::Text(delivery.token.clone())),
        ("ExpiresAtUtc", Meta::Moment(expires)),
        ("ExpiresAt", Meta::MomentOffset(expires)),
        ("EnqueuedTimeUtc", Meta::Moment(enqueued)),
        ("EnqueuedTime", Meta::MomentOffset(enqueued)),
        ("MessageId", Meta::Text(delivery.message_id.clone())),
        ("SequenceNumber", Meta::Number(delivery.sequence)),
        ("ApplicationProperties", Meta::Object(properties.clone())),
        ("UserProperties", Meta::Object(properties)),
    ];
    metadata.extend(known.map(|(name, meta)| (name.to_owned(), meta)));
    let optional = TEXTS.iter().filter_map(|(name, read)| Some(((*name).to_owned(), Meta::Text(read(delivery)?))));
    metadata.extend(optional);
    Payload {
        binding: function.binding.clone(),
        value: value(&delivery.body, trigger.data_type),
        metadata,
        promote: trigger.data_type == DataType::Text,
    }
}

type ReadText = fn(&Delivery) -> Option<String>;

/// The textual facts that a message may lack.
const TEXTS: [(&str, ReadText); 9] = [
    ("ContentType", |d| d.facts.content_type.clone()),
    ("ReplyTo", |d| d.facts.reply_to.clone()),
    ("To", |d| d.facts.to.clone()),
    ("Subject", |d| d.facts.subject.clone()),
    ("Label", |d| d.facts.subject.clone()),
    ("CorrelationId", |d| d.facts.correlation_id.clone()),
    ("SessionId", |d| d.session.clone()),
    ("ReplyToSessionId", |d| d.facts.reply_to_session_id.clone()),
    ("PartitionKey", |d| d.facts.partition_key.clone().or_else(|| d.session.clone())),
];

/// A batch of messages for one invocation.
pub(super) fn messages(function: &Function, trigger: &ServiceBusTrigger, deliveries: &[Delivery]) -> Payload {
    let mut metadata = actors(deliveries.first().map_or("", |first| first.entity.as_str()));
    let array = |read: &dyn Fn(&Delivery) -> Value| Meta::Array(deliveries.iter().map(read).collect());
    let expires = |d: &Delivery| d.expires_ms.map_or(FOREVER, moment);
    let properties = |d: &Delivery| Value::Object(d.facts.properties.clone());
    let known = [
        ("DeliveryCountArray", array(&|d| json!(d.delivery_count))),
        ("LockTokenArray", array(&|d| json!(d.token))),
        ("ExpiresAtUtcArray", array(&|d| json!(written(expires(d), "")))),
        ("ExpiresAtArray", array(&|d| json!(written(expires(d), "+00:00")))),
        ("EnqueuedTimeUtcArray", array(&|d| json!(written(moment(d.enqueued_ms), "")))),
        ("EnqueuedTimeArray", array(&|d| json!(written(moment(d.enqueued_ms), "+00:00")))),
        ("MessageIdArray", array(&|d| json!(d.message_id))),
        ("SequenceNumberArray", array(&|d| json!(d.sequence))),
        ("ApplicationPropertiesArray", array(&properties)),
        ("UserPropertiesArray", array(&properties)),
    ];
    metadata.extend(known.map(|(name, meta)| (name.to_owned(), meta)));
    metadata.extend(TEXTS.iter().map(|(name, read)| (format!("{name}Array"), array(&|d| json!(read(d))))));
    Payload {
        binding: function.binding.clone(),
        value: values(deliveries.iter().map(|d| d.body.as_slice()), trigger.data_type),
        metadata,
        promote: false,
    }
}

fn contexts(trigger: &EventHubTrigger, partition: u32) -> Vec<(String, Meta)> {
    let context = json!({"IsCheckpointingAfterInvocation": true, "FullyQualifiedNamespace": NAMESPACE,
        "EventHubName": trigger.hub, "ConsumerGroup": trigger.consumer_group, "PartitionId": partition.to_string()});
    ["TriggerPartitionContext", "PartitionContext"]
        .map(|name| (name.to_owned(), Meta::Object(context.clone())))
        .into_iter()
        .collect()
}

fn system_properties(event: &Event) -> Value {
    let mut properties = Map::new();
    properties.insert("SequenceNumber".to_owned(), json!(event.sequence));
    properties.insert("Offset".to_owned(), json!(event.offset));
    properties.insert("OffsetString".to_owned(), json!(event.offset.to_string()));
    if let Some(key) = &event.key {
        properties.insert("PartitionKey".to_owned(), json!(key));
    }
    properties.insert("EnqueuedTimeUtc".to_owned(), json!(written(moment(event.enqueued_ms), "Z")));
    Value::Object(properties)
}

/// One event for one invocation.
pub(super) fn one_event(function: &Function, trigger: &EventHubTrigger, partition: u32, event: &Event) -> Payload {
    let mut metadata = contexts(trigger, partition);
    if let Some(key) = &event.key {
        metadata.push(("PartitionKey".to_owned(), Meta::Text(key.clone())));
    }
    let known = [
        ("Offset", Meta::Text(event.offset.to_string())),
        ("OffsetString", Meta::Text(event.offset.to_string())),
        ("SequenceNumber", Meta::Number(event.sequence)),
        ("EnqueuedTimeUtc", Meta::Moment(moment(event.enqueued_ms))),
        ("Properties", Meta::Object(Value::Object(event.properties.clone()))),
        ("SystemProperties", Meta::Object(system_properties(event))),
    ];
    metadata.extend(known.map(|(name, meta)| (name.to_owned(), meta)));
    Payload {
        binding: function.binding.clone(),
        value: value(&event.body, trigger.data_type),
        metadata,
        promote: trigger.data_type == DataType::Text,
    }
}

/// A batch of events of one partition for one invocation.
pub(super) fn events(function: &Function, trigger: &EventHubTrigger, partition: u32, batch: &[Event]) -> Payload {
    let mut metadata = contexts(trigger, partition);
    let array = |read: &dyn Fn(&Event) -> Value| Meta::Array(batch.iter().map(read).collect());
    let known = [
        ("PartitionKeyArray", array(&|e| json!(e.key))),
        ("OffsetArray", array(&|e| json!(e.offset.to_string()))),
        ("OffsetStringArray", array(&|e| json!(e.offset.to_string()))),
        ("SequenceNumberArray", array(&|e| json!(e.sequence))),
        ("EnqueuedTimeUtcArray", array(&|e| json!(written(moment(e.enqueued_ms), "Z")))),
        ("PropertiesArray", array(&|e| Value::Object(e.properties.clone()))),
        ("SystemPropertiesArray", array(&system_properties)),
    ];
    metadata.extend(known.map(|(name, meta)| (name.to_owned(), meta)));
    Payload {
        binding: function.binding.clone(),
        value: values(batch.iter().map(|event| event.body.as_slice()), trigger.data_type),
        metadata,
        promote: false,
    }
}

/// A moment as Newtonsoft writes it: seven digits of a fraction at most, trailing zeros dropped.
fn written(at: OffsetDateTime, zone: &str) -> String {
    let (date, clock) = (at.date(), at.time());
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    let fraction = format!("{:07}", clock.nanosecond() / 100);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text + zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_arrays_keep_their_fraction() {
        assert_eq!(written(datetime!(2024-05-01 10:00:00.123 UTC), "Z"), "2024-05-01T10:00:00.123Z");
        assert_eq!(written(datetime!(2024-05-01 10:00:00 UTC), ""), "2024-05-01T10:00:00");
    }
}
