//! What the host sends to a function that is not handed an HTTP request whole: `{"Data":…,"Metadata":…}`.
//!
//! Scalars, strings and arrays are JSON text inside a JSON string, objects are objects, bytes are base64.
//! A body of JSON text has its top-level members written over metadata of the same name, as strings; so a
//! number is believed only where it is a number, and the message id is never more than a hint.
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    binding::{Cardinality, Encoding, Trigger},
    room::{Event, Message, Tick},
};

/// Why an envelope cannot be worked on. The host reads only the status; the log reads this.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("the envelope is not JSON of the expected shape")]
    Unreadable(#[source] serde_json::Error),
    #[error("Data has no {0:?}")]
    Missing(&'static str),
    #[error("{0:?} in Data is not what its trigger sends")]
    Unfit(&'static str),
}

/// An envelope's payload, by trigger.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Messages(Vec<Message>),
    Events(Vec<Event>),
    Tick(Tick),
}

impl Payload {
    /// How often what is in it was given out, this time too; 0 for what the host gives out by itself.
    pub(super) fn deliveries(&self) -> u32 {
        match self {
            Payload::Messages(messages) => messages.iter().map(|it| it.delivery_count).max().unwrap_or(0),
            Payload::Events(_) | Payload::Tick(_) => 0,
        }
    }
}

/// The payload, and the number of the host's retry (0 on the first try or without a retry policy).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) payload: Payload,
    pub(super) retry_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    data: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Reads the envelope of a function with this trigger.
///
/// # Errors
/// See [`EnvelopeError`].
pub(super) fn decode(trigger: Trigger, body: &[u8]) -> Result<Envelope, EnvelopeError> {
    let Wire { data, metadata } = serde_json::from_slice(body).map_err(EnvelopeError::Unreadable)?;
    let retry = metadata.get("RetryContext").and_then(|context| context.get("RetryCount"));
    let retry_count = number(retry).unwrap_or(0);
    let payload = match trigger {
        Trigger::Messages { binding, cardinality, encoding } => {
            let bodies = bodies(binding, &data, cardinality, encoding)?;
            Payload::Messages(messages(bodies, cardinality, &metadata))
        }
        Trigger::Events { binding, cardinality, encoding } => {
            let bodies = bodies(binding, &data, cardinality, encoding)?;
            Payload::Events(events(bodies, cardinality, &metadata))
        }
        Trigger::Timer { binding } => {
            let timer = data.get(binding).ok_or(EnvelopeError::Missing(binding))?;
            let is_past_due = timer.get("IsPastDue").and_then(Value::as_bool).ok_or(EnvelopeError::Unfit(binding))?;
            Payload::Tick(Tick { is_past_due, retry_count })
        }
        // The table never makes a job of one.
        Trigger::Http { route } => return Err(EnvelopeError::Missing(route)),
    };
    Ok(Envelope { payload, retry_count })
}

fn bodies(
    binding: &'static str,
    data: &Map<String, Value>,
    cardinality: Cardinality,
    encoding: Encoding,
) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let unfit = || EnvelopeError::Unfit(binding);
    let value = data.get(binding).ok_or(EnvelopeError::Missing(binding))?.as_str().ok_or_else(unfit)?;
    let bytes = |text: String| match encoding {
        Encoding::Text => Ok(text.into_bytes()),
        Encoding::Base64 => STANDARD.decode(text).map_err(|_| unfit()),
    };
    match cardinality {
        Cardinality::Many => {
            let texts: Vec<String> = serde_json::from_str(value).map_err(|_| unfit())?;
            texts.into_iter().map(bytes).collect()
        }
        Cardinality::One if encoding == Encoding::Base64 => Ok(vec![bytes(value.to_owned())?]),
        // Once more than the envelope itself, and no further: the body may be a JSON string too.
        Cardinality::One => match serde_json::from_str(value) {
            Ok(Value::String(text)) => Ok(vec![bytes(text)?]),
            _ => Ok(vec![bytes(value.to_owned())?]),
        },
    }
}

fn messages(bodies: Vec<Vec<u8>>, cardinality: Cardinality, metadata: &Map<String, Value>) -> Vec<Message> {
    let (ids, counts) = match cardinality {
        Cardinality::One => (single(metadata, "MessageId"), single(metadata, "DeliveryCount")),
        Cardinality::Many => (list(metadata, "MessageIdArray"), list(metadata, "DeliveryCountArray")),
    };
    let message = |(at, body)| Message {
        body,
        message_id: ids.get(at).and_then(Value::as_str).map(str::to_owned),
        delivery_count: number(counts.get(at)).unwrap_or(1),
    };
    bodies.into_iter().enumerate().map(message).collect()
}

fn events(bodies: Vec<Vec<u8>>, cardinality: Cardinality, metadata: &Map<String, Value>) -> Vec<Event> {
    let sequence = match cardinality {
        Cardinality::One => single(metadata, "SequenceNumber"),
        Cardinality::Many => list(metadata, "SequenceNumberArray"),
    };
    let partition = metadata.get("PartitionContext").and_then(|context| context.get("PartitionId"));
    let partition = partition.and_then(Value::as_str).map(str::to_owned);
    let event = |(at, body)| Event {
        body,
        sequence_number: sequence.get(at).and_then(Value::as_i64),
        partition: partition.clone(),
    };
    bodies.into_iter().enumerate().map(event).collect()
}

/// One metadata value, its JSON text read; bare values are taken as they are.
fn single(metadata: &Map<String, Value>, name: &str) -> Vec<Value> {
    let value = metadata.get(name).map(|value| match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    });
    value.into_iter().collect()
}

/// A metadata list, one entry for each payload; empty if absent or unreadable.
fn list(metadata: &Map<String, Value>, name: &str) -> Vec<Value> {
    match single(metadata, name).pop() {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    const fn messages(cardinality: Cardinality, encoding: Encoding) -> Trigger {
        Trigger::Messages { binding: "msg", cardinality, encoding }
    }

    fn bodies(trigger: Trigger, value: &str) -> Vec<Vec<u8>> {
        let envelope = json!({"Data": {"msg": value}, "Metadata": {}}).to_string();
        match decode(trigger, envelope.as_bytes()).unwrap().payload {
            Payload::Messages(messages) => messages.into_iter().map(|it| it.body).collect(),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        /// As the host encodes it: a string is JSON text in a string, an array too, bytes are base64.
        #[test]
        fn every_body_comes_back_to_the_byte(texts in vec(any::<String>(), 0..4), bytes in vec(any::<u8>(), 0..64)) {
            for text in &texts {
                let one = bodies(messages(Cardinality::One, Encoding::Text), &json!(text).to_string());
                prop_assert_eq!(one, [text.as_bytes()]);
            }
            let many = bodies(messages(Cardinality::Many, Encoding::Text), &json!(texts).to_string());
            prop_assert_eq!(many, texts.iter().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>());
            let coded = STANDARD.encode(&bytes);
            prop_assert_eq!(bodies(messages(Cardinality::One, Encoding::Base64), &coded), [bytes.clone()]);
            let coded = json!([coded]).to_string();
            prop_assert_eq!(bodies(messages(Cardinality::Many, Encoding::Base64), &coded), [bytes]);
        }

        /// Whatever stands where the host's metadata should, it is an answer or an error, never a panic.
        #[test]
        fn nothing_that_is_sent_breaks_it(data in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,24}", meta in "[\\[\\]{}\",:0-9]{0,12}") {
            for trigger in [
                messages(Cardinality::One, Encoding::Text),
                messages(Cardinality::Many, Encoding::Base64),
                Trigger::Events { binding: "msg", cardinality: Cardinality::Many, encoding: Encoding::Text },
                Trigger::Timer { binding: "msg" },
            ] {
                let metadata = json!({"MessageId": meta, "DeliveryCountArray": meta, "SequenceNumberArray": meta});
                let envelope = json!({"Data": {"msg": data}, "Metadata": metadata}).to_string();
                decode(trigger, envelope.as_bytes()).ok();
                decode(trigger, data.as_bytes()).ok();
                decode(trigger, format!("{{\"Data\":{{\"msg\":{data}}}}}").as_bytes()).ok();
            }
        }
    }

    #[test]
    fn a_number_is_believed_only_as_a_number_and_in_either_form() {
        let count = |value: Value| {
            let envelope = json!({"Data": {"msg": "\"x\""}, "Metadata": {"DeliveryCount": value}}).to_string();
            match decode(messages(Cardinality::One, Encoding::Text), envelope.as_bytes()).unwrap().payload {
                Payload::Messages(messages) => messages[0].delivery_count,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([json!("3"), json!(3)].map(count), [3, 3]);
        assert_eq!([json!("\"3\""), json!("x"), json!("-3"), json!("1e99"), json!(null)].map(count), [1; 5]);
    }
}
