//! What a change owes the world: stock to move, money to move. Each has a derived id, under which it
//! happens at most once however often it is tried.
use time::OffsetDateTime;

use super::{Actor, By, Entry, EntryKind, Order, RefundState};
use crate::{
    sku::Sku,
    stock::{Location, Part},
};

/// One thing to do outside the order's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The stock movement's key, the provider's idempotency key.
    pub id: String,
    pub kind: WorkKind,
    /// When it was ordered.
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// The units left the house.
    Ship { sku: Sku, parts: Vec<Part> },
    /// The units are not promised any more.
    GiveBack { sku: Sku, parts: Vec<Part> },
    /// The units came back and can be sold again.
    Restock { sku: Sku, location: Location, units: i64 },
    /// Takes so many minor units of what is authorised.
    Capture { amount: i64 },
    /// Gives back what is authorised and not captured.
    Void,
    /// Gives back so many minor units; `refund` is the refund's id.
    Refund { refund: String, amount: i64 },
    /// The promotions' limits count this order no more.
    ReleaseClaims,
    /// What was cancelled of limited SKUs can be bought by this customer again.
    ReleaseUnits,
}

impl WorkKind {
    /// Whether it is the payment provider's to do.
    pub fn is_payment(&self) -> bool {
        matches!(self, WorkKind::Capture { .. } | WorkKind::Void | WorkKind::Refund { .. })
    }
}

/// How a piece of work ended. Amounts of the payment are brought up to date apart from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It will never be done, for this reason.
    Refused(String),
}

impl Order {
    pub(super) fn owe(&mut self, number: u32, at: OffsetDateTime, kind: WorkKind) {
        let id = format!("wrk_{}_{number}_{}", self.id.ulid(), self.works.len());
        self.works.push(Work { id, kind, at });
    }

    /// Minor units under capture.
    pub(super) fn pending_captures(&self) -> i64 {
        let amounts = self.works.iter().map(|it| match it.kind {
            WorkKind::Capture { amount } => amount,
            _ => 0,
        });
        amounts.fold(0, i64::saturating_add)
    }

    /// Strikes a piece of work off; `None` if someone else did before. Its entry, if people should know.
    pub fn finish(&mut self, work: &str, outcome: &Outcome, at: OffsetDateTime) -> Option<Finished> {
        let place = self.works.iter().position(|it| it.id == work)?;
        let work = self.works.remove(place);
        let failed = match outcome {
            Outcome::Done => None,
            Outcome::Refused(reason) => Some(reason.clone()),
        };
        let (kind, subject, amount) = match (&work.kind, failed.is_some()) {
            (WorkKind::Capture { amount }, false) => (EntryKind::Captured, None, Some(*amount)),
            (WorkKind::Capture { amount }, true) => {
                self.on_hold = Some("capture_refused".to_owned());
                (EntryKind::CaptureFailed, None, Some(*amount))
            }
            (WorkKind::Void, false) => (EntryKind::Voided, None, None),
            (WorkKind::Void, true) => (EntryKind::VoidFailed, None, None),
            (WorkKind::Refund { refund, amount }, false) => {
                self.settle_refund(refund, &RefundState::Succeeded);
                (EntryKind::Refunded, Some(refund.clone()), Some(*amount))
            }
            (WorkKind::Refund { refund, amount }, true) => {
                self.settle_refund(refund, &RefundState::Failed { reason: failed.clone().unwrap_or_default() });
                (EntryKind::RefundFailed, Some(refund.clone()), Some(*amount))
            }
            (_, true) => (EntryKind::StockFailed, Some(work.id.clone()), None),
            (_, false) => {
                self.derive();
                return Some(Finished { work, entry: None });
            }
        };
        self.next_change();
        self.derive();
        let mut entry = self.entry(&By { actor: Actor::System, at }, kind);
        entry.subject = subject;
        entry.amount = amount.map(|it| self.money(it));
        entry.note = failed;
        Some(Finished { work, entry: Some(entry) })
    }
}

/// A piece of work that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub work: Work,
    /// `None`: nothing that a person would look for.
    pub entry: Option<Entry>,
}
