//! Refunds: by unit, for shipping, or a free amount. Together never more than was captured; one that fails
//! leaves the balance as it was and can be asked for again.
use time::OffsetDateTime;

use super::{
    Actor, By, Entry, EntryKind, LineAsk, Order, OrderRefusal, RECORDS_MAX, WorkKind, fulfilment::must_have_room,
};
use crate::{
    money::{Money, MoneyError},
    payment::{FAILED, FactKind, Ledger, PaymentFact},
    pricing::shipping_paid,
};

/// Money on its way back, gone back, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// `ref_…`, derived.
    pub id: String,
    /// Minor units that move. Less than the shares together if a free amount went back before.
    pub amount: i64,
    pub lines: Vec<RefundLine>,
    /// Shipping's share; `None`: not part of it.
    pub shipping: Option<i64>,
    pub cause: RefundCause,
    pub state: RefundState,
    /// In the caller's words.
    pub reason: Option<String>,
    pub at: OffsetDateTime,
}

/// A line's share of a refund, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundLine {
    pub line: usize,
    pub units: u32,
    pub amount: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundCause {
    Asked,
    Cancelled,
    /// The return's id.
    Returned(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    Pending,
    Succeeded,
    Failed { reason: String },
}

/// What is to go back: either units and shipping, or a free amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAsk {
    Goods { lines: Vec<LineAsk>, shipping: bool },
    Amount(Money),
}

impl Refund {
    /// The ledger's name for its failure: a refund goes to the provider under its own id.
    fn failed_fact(&self) -> String {
        format!("refund:{}{FAILED}", self.id)
    }
}

impl Order {
    /// Asks for money to go back, and for nothing else: goods are cancelled or returned apart from it.
    ///
    /// # Errors
    /// `NotPlaced`, `NothingLeft`, `NoSuchLine`, `NoUnits`, `TooMany`, `TooMuch`, `Full`, `Money`.
    pub fn refund(&mut self, ask: &RefundAsk, reason: Option<String>, by: &By) -> Result<Entry, OrderRefusal> {
        if !self.lifecycle.was_placed() {
            return Err(OrderRefusal::NotPlaced { lifecycle: self.lifecycle.name() });
        }
        let left = self.refundable();
        if left == 0 {
            return Err(OrderRefusal::NothingLeft);
        }
        let (lines, amount) = match ask {
            RefundAsk::Goods { lines, shipping } => {
                if *shipping && (!self.shipping.captured || self.shipping.refunded) {
                    return Err(OrderRefusal::NothingLeft);
                }
                if !lines.is_empty() || !shipping {
                    self.check(lines, |line| self.units[line].refundable())?;
                }
                let number = self.next_change();
                let amount = self.give_back(number, lines, *shipping, &RefundCause::Asked, by, reason.clone())?;
                (lines.clone(), amount.ok_or(OrderRefusal::NothingLeft)?)
            }
            RefundAsk::Amount(amount) => {
                if amount.currency() != self.priced.currency {
                    return Err(MoneyError::CurrencyMismatch(amount.currency(), self.priced.currency).into());
                }
                if !(1..=left).contains(&amount.minor()) {
                    return Err(OrderRefusal::TooMuch { left: self.money(left) });
                }
                let number = self.next_change();
                self.add_refund(number, (Vec::new(), None, amount.minor()), &RefundCause::Asked, by, reason.clone())?;
                (Vec::new(), amount.minor())
            }
        };
        self.derive();
        let mut entry = self.entry(by, EntryKind::RefundAsked);
        entry.subject = self.refunds.last().map(|it| it.id.clone());
        entry.amount = Some(self.money(amount));
        entry.lines = lines;
        entry.note = reason;
        Ok(entry)
    }

    /// Gives back what these units and shipping cost, as far as it is there: no more than is left after
    /// free amounts. Whoever takes the last unit takes the rest. `None`: no money moves.
    pub(super) fn give_back(
        &mut self,
        number: u32,
        lines: &[LineAsk],
        shipping: bool,
        cause: &RefundCause,
        by: &By,
        reason: Option<String>,
    ) -> Result<Option<i64>, OrderRefusal> {
        let left = self.refundable();
        let (mut shares, mut sum) = (Vec::new(), self.money(0));
        for LineAsk { line, units } in lines {
            let before = self.line_refunded(*line);
            self.units[*line].refunded += units;
            let upto = self.worth(*line, self.units[*line].refunded)?;
            let amount = upto.saturating_sub(before).max(0);
            sum = sum.plus(self.money(amount))?;
            shares.push(RefundLine { line: *line, units: *units, amount });
        }
        let mut for_shipping = None;
        if shipping {
            let paid = shipping_paid(&self.priced)?;
            self.shipping.refunded = true;
            sum = sum.plus(paid)?;
            for_shipping = Some(paid.minor());
        }
        let last = self.units.iter().all(|it| it.refundable() == 0)
            && (!self.shipping.captured || self.shipping.refunded)
            && self.pending_captures() == 0;
        let amount = if last { left } else { sum.minor().min(left) };
        if lines.is_empty() && !shipping {
            return Ok(None);
        }
        // Units that cost nothing are refunded too, without the provider.
        self.add_refund(number, (shares, for_shipping, amount), cause, by, reason)?;
        Ok((amount > 0).then_some(amount))
    }

    fn add_refund(
        &mut self,
        number: u32,
        (lines, shipping, amount): (Vec<RefundLine>, Option<i64>, i64),
        cause: &RefundCause,
        by: &By,
        reason: Option<String>,
    ) -> Result<(), OrderRefusal> {
        must_have_room("refunds", self.refunds.len(), RECORDS_MAX)?;
        let id = self.name("ref", number);
        let state = if amount > 0 { RefundState::Pending } else { RefundState::Succeeded };
        if amount > 0 {
            self.owe(number, by.at, WorkKind::Refund { refund: id.clone(), amount });
        }
        self.refunds.push(Refund { id, amount, lines, shipping, cause: cause.clone(), state, reason, at: by.at });
        Ok(())
    }

    /// What went back or may go back for a line, as its shares say.
    fn line_refunded(&self, line: usize) -> i64 {
        let valid = self.refunds.iter().filter(|it| !matches!(it.state, RefundState::Failed { .. }));
        let shares = valid.flat_map(|it| &it.lines).filter(|it| it.line == line).map(|it| it.amount);
        shares.fold(0, i64::saturating_add)
    }

    /// Refunds that the provider had accepted, and that came to nothing after all as the ledger now knows.
    pub fn note_failed_refunds(&mut self, ledger: &Ledger, at: OffsetDateTime) -> Vec<Entry> {
        let fails = |it: &&Refund| {
            let known = |told: &&PaymentFact| told.kind == FactKind::RefundFailed && told.id == it.failed_fact();
            !matches!(it.state, RefundState::Failed { .. }) && ledger.facts().any(|told| known(&told))
        };
        let failed: Vec<(String, i64)> =
            self.refunds.iter().filter(fails).map(|it| (it.id.clone(), it.amount)).collect();
        let mut entries = Vec::with_capacity(failed.len());
        for (id, amount) in failed {
            let reason = "the provider took it back".to_owned();
            self.works.retain(|it| !matches!(&it.kind, WorkKind::Refund { refund, .. } if *refund == id));
            self.settle_refund(&id, &RefundState::Failed { reason: reason.clone() });
            self.next_change();
            self.derive();
            let mut entry = self.entry(&By { actor: Actor::System, at }, EntryKind::RefundFailed);
            entry.subject = Some(id);
            entry.amount = Some(self.money(amount));
            entry.note = Some(reason);
            entries.push(entry);
        }
        entries
    }

    /// The provider has decided: a refund that failed is as if it had not been asked for.
    pub(super) fn settle_refund(&mut self, id: &str, state: &RefundState) {
        let open = |it: &&mut Refund| it.id == id && !matches!(it.state, RefundState::Failed { .. });
        let Some(refund) = self.refunds.iter_mut().find(open) else { return };
        refund.state = state.clone();
        if matches!(state, RefundState::Failed { .. }) {
            for share in &refund.lines {
                if let Some(units) = self.units.get_mut(share.line) {
                    units.refunded = units.refunded.saturating_sub(share.units);
                }
            }
            if refund.shipping.is_some() {
                self.shipping.refunded = false;
            }
        } else if let RefundCause::Returned(id) = refund.cause.clone() {
            self.note_return_refunded(&id);
        }
    }
}
