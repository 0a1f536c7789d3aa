//! Faults put in on purpose: what checks a world must notice each of them.
use offpeak::shared::ports::{
    bus::Message,
    documents::{Document, Write},
};
use serde_json::Value;

/// One wrong way to work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Planted {
    #[default]
    Nothing,
    /// A write is made whatever it was conditional on.
    IgnoresVersions,
    /// Events are said to be sent and are not.
    LosesEvents,
    /// Events are sent before the change they tell of is stored.
    PublishesFirst,
    /// A use and its counter are written one after the other, not in one batch.
    ClaimsApart,
    /// A run that finds itself overtaken gives back whatever was taken for its checkout.
    RefundsUnasked,
    /// The provider moves money again when it is asked again.
    MovesAgain,
}

impl Planted {
    /// The writes that a store with this fault makes.
    pub(super) fn bend<'a>(self, writes: Vec<Write>, found: impl Iterator<Item = Option<&'a Document>>) -> Vec<Write> {
        match self {
            Planted::IgnoresVersions => writes.into_iter().zip(found).map(force).collect(),
            _ => writes,
        }
    }
}

/// What a process that publishes first publishes.
pub(super) fn events(writes: &[Write]) -> Vec<Message> {
    let event = |write: &Write| {
        let body = body(write).filter(|it| it["type"] == "outbox" && it.get("due").is_some())?;
        let text = |name: &str| body[name].as_str().map(ToOwned::to_owned);
        Some(Message {
            destination: text("destination")?,
            id: text("eventId")?,
            session: text("session"),
            subject: text("subject")?,
            scheduled: None,
            body: body["payload"].to_string(),
        })
    };
    writes.iter().filter_map(event).collect()
}

fn body(write: &Write) -> Option<&Value> {
    match write {
        Write::Create { body, .. } | Write::Replace { body, .. } => Some(body),
        Write::Delete { .. } => None,
    }
}

fn force((write, found): (Write, Option<&Document>)) -> Write {
    match (write, found) {
        (Write::Create { id, body, ttl } | Write::Replace { id, body, ttl, .. }, Some(found)) => {
            Write::Replace { id, body, ttl, etag: found.etag.clone() }
        }
        (write, _) => write,
    }
}
