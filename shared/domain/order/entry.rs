//! The timeline: what happened to an order, when, and who did it. Append-only.
use time::OffsetDateTime;

use super::{LineAsk, Order};
use crate::money::Money;

/// Who changes an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever has the cart's token.
    Customer,
    /// The subject of a staff token.
    Staff(String),
    /// The shop by itself: what a change owed was done, or failed.
    System,
}

/// Who asks for a change, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    pub actor: Actor,
    pub at: OffsetDateTime,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts the order's changes from 1.
    pub number: u32,
    pub at: OffsetDateTime,
    pub actor: Actor,
    pub kind: EntryKind,
    /// The id of the fulfilment, return, refund or work it is about.
    pub subject: Option<String>,
    pub amount: Option<Money>,
    pub lines: Vec<LineAsk>,
    /// In a person's or the provider's words.
    pub note: Option<String>,
}

macro_rules! kinds {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EntryKind { $($variant),+ }

        impl EntryKind {
            pub const fn name(self) -> &'static str {
                match self { $(EntryKind::$variant => $name),+ }
            }

            /// `None` for a name that no version of this type has written.
            pub fn parse(name: &str) -> Option<EntryKind> {
                match name { $($name => Some(EntryKind::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    Placed = "order.placed",
    Cancelled = "order.cancelled",
    Held = "order.held",
    Released = "order.released",
    Noted = "order.noted",
    Packed = "fulfilment.packed",
    Shipped = "fulfilment.shipped",
    Delivered = "fulfilment.delivered",
    Lost = "fulfilment.lost",
    Unpacked = "fulfilment.cancelled",
    Tracked = "fulfilment.tracked",
    ReturnRequested = "return.requested",
    ReturnApproved = "return.approved",
    ReturnDeclined = "return.declined",
    ReturnReceived = "return.received",
    ReturnInspected = "return.inspected",
    ReturnClosed = "return.closed",
    RefundAsked = "refund.requested",
    Refunded = "refund.succeeded",
    RefundFailed = "refund.failed",
    Captured = "payment.captured",
    CaptureFailed = "payment.capture_failed",
    Voided = "payment.voided",
    VoidFailed = "payment.void_failed",
    StockFailed = "stock.failed",
}

impl EntryKind {
    /// Whether the buyer may know of it at all: what staff tell each other is theirs.
    pub const fn is_for_buyer(self) -> bool {
        !matches!(self, EntryKind::Noted)
    }
}

impl Order {
    /// Adds a note in staff's words to the timeline; nothing else changes.
    pub fn note(&mut self, text: String, by: &By) -> Entry {
        self.next_change();
        Entry { note: Some(text), ..self.entry(by, EntryKind::Noted) }
    }

    /// The entry of the change under way.
    pub(super) fn entry(&self, by: &By, kind: EntryKind) -> Entry {
        Entry {
            number: self.changes,
            at: by.at,
            actor: by.actor.clone(),
            kind,
            subject: None,
            amount: None,
            lines: Vec::new(),
            note: None,
        }
    }
}
