//! The order's money: what a unit is worth, what was asked for, what can go back.
//!
//! Units of a line are worth the steps of one cumulative split of what the line cost, so any way through
//! them adds up to it exactly. Captures take the split from its front and cancellations before a capture
//! waive it from its end, so the two meet without a gap; refunds go through the captured part from the
//! front again, each taking what the split says up to there less what earlier ones took.
use super::{Order, OrderRefusal, RefundState, WorkKind};
use crate::{
    money::{Currency, Money, MoneyError},
    payment::Amounts,
    pricing::{refund_of, shipping_paid},
};

/// What the provider holds for an order, in minor units of the order's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderPayment {
    /// The payment's name at the provider.
    pub reference: String,
    /// The provider's own name for it, if it has one.
    pub provider_id: Option<String>,
    pub method: String,
    pub authorised: i64,
    pub captured: i64,
    pub refunded: i64,
    pub voided: i64,
    pub disputed: i64,
    /// The provider takes money of one authorisation once and lets the rest go: the first goods that leave bring in
    /// the money for all that is not cancelled.
    pub captured_once: bool,
}

/// What became of the money for shipping; it moves as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShippingMoney {
    pub captured: bool,
    pub waived: bool,
    pub refunded: bool,
}

impl OrderPayment {
    pub fn amounts(&self, currency: Currency) -> Amounts {
        let money = |minor| Money::new(minor, currency);
        Amounts {
            authorised: money(self.authorised),
            captured: money(self.captured),
            refunded: money(self.refunded),
            voided: money(self.voided),
            disputed: money(self.disputed),
        }
    }
}

impl Order {
    pub(super) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.priced.currency)
    }

    /// What the first `units` units of a line are worth together.
    pub(super) fn worth(&self, line: usize, units: u32) -> Result<i64, MoneyError> {
        refund_of(&self.priced, line, 0, units).map(Money::minor)
    }

    /// What could be refunded now: captured, less what went back or may go back, in minor units. The provider
    /// may know of a pending refund already, so that is not counted twice.
    pub fn refundable(&self) -> i64 {
        let valid = self.refunds.iter().filter(|it| !matches!(it.state, RefundState::Failed { .. }));
        let asked = valid.map(|it| it.amount).fold(0, i64::saturating_add);
        let gone = asked.max(self.payment.refunded).saturating_add(self.payment.disputed);
        self.payment.captured.saturating_sub(gone).max(0)
    }

    /// What should be captured for all units counted as captured.
    pub(super) fn due(&self) -> Result<i64, MoneyError> {
        if self.is_all_asked_for() {
            return self.priced.totals.total.minus(self.money(self.waived()?)).map(Money::minor);
        }
        let mut due = if self.shipping.captured { shipping_paid(&self.priced)? } else { self.money(0) };
        for (line, units) in self.units.iter().enumerate() {
            due = due.plus(self.money(self.worth(line, units.captured)?))?;
        }
        Ok(due.minor())
    }

    /// What will never be asked for.
    fn waived(&self) -> Result<i64, MoneyError> {
        let mut waived = if self.shipping.waived { shipping_paid(&self.priced)? } else { self.money(0) };
        for (line, units) in self.units.iter().enumerate() {
            let kept = self.worth(line, units.ordered.saturating_sub(units.waived))?;
            waived = waived.plus(self.money(self.worth(line, units.ordered)?))?.minus(self.money(kept))?;
        }
        Ok(waived.minor())
    }

    /// Whether no more money will be asked for.
    pub(super) fn is_all_asked_for(&self) -> bool {
        let shipping = self.priced.shipping.is_none() || self.shipping.captured || self.shipping.waived;
        shipping && self.units.iter().all(|it| it.uncaptured() == 0)
    }

    /// Whether everything that is due was taken.
    pub(super) fn is_settled(&self) -> bool {
        self.is_all_asked_for() && self.due().is_ok_and(|due| self.payment.captured >= due)
    }

    /// Asks for what is due and was not asked for yet; what an earlier capture failed to bring is due still.
    pub(super) fn owe_capture(&mut self, number: u32, at: time::OffsetDateTime) -> Result<(), OrderRefusal> {
        let missing = self.due()?.saturating_sub(self.payment.captured).saturating_sub(self.pending_captures());
        if missing > 0 {
            self.owe(number, at, WorkKind::Capture { amount: missing });
        }
        Ok(())
    }

    /// Gives back what is authorised once nothing more will be asked for.
    pub(super) fn owe_void(&mut self, number: u32, at: time::OffsetDateTime) {
        let payment = &self.payment;
        let held = payment.authorised - payment.captured - payment.voided - self.pending_captures();
        let ordered = self.works.iter().any(|it| it.kind == WorkKind::Void);
        if held > 0 && self.is_all_asked_for() && !ordered {
            self.owe(number, at, WorkKind::Void);
        }
    }

    /// Takes over the ledger's amounts as they are; `true` if the order said otherwise. Unlike what one answer
    /// says, the ledger may take an amount back: a refund that failed was never one.
    pub fn follow(&mut self, amounts: &Amounts) -> bool {
        let before = self.clone();
        self.payment.authorised = amounts.authorised.minor();
        self.payment.captured = amounts.captured.minor();
        self.payment.refunded = amounts.refunded.minor();
        self.payment.voided = amounts.voided.minor();
        self.payment.disputed = amounts.disputed.minor();
        self.derive();
        before != *self
    }
}
