//! Cancelling open units: they are promised no more, and their money is not asked for, or goes back.
use super::{Actor, By, Entry, EntryKind, LineAsk, Order, OrderRefusal, RefundCause, WorkKind};

/// What is to be cancelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancel {
    /// `None`: everything that is open.
    pub lines: Option<Vec<LineAsk>>,
    /// In the caller's words.
    pub reason: Option<String>,
    /// Whether money that was taken goes back; what was not taken is never asked for in any case.
    pub keep_money: bool,
}

impl Order {
    /// Cancels open units. A buyer may only do so while nothing is in a fulfilment. Once nothing is left of
    /// the order, shipping goes back too and the promotions' limits are freed.
    ///
    /// # Errors
    /// `NotPlaced`, `Fulfilled`, `NothingLeft`, `NoSuchLine`, `NoUnits`, `TooMany`, `Full`, `Money`.
    pub fn cancel(&mut self, ask: &Cancel, by: &By) -> Result<Entry, OrderRefusal> {
        self.must_be_placed()?;
        let untouched = self.units.iter().all(|it| it.shipped == 0);
        if by.actor == Actor::Customer && !untouched {
            return Err(OrderRefusal::Fulfilled);
        }
        let lines = ask.lines.clone().unwrap_or_else(|| self.all_open());
        if lines.is_empty() {
            return Err(OrderRefusal::NothingLeft);
        }
        self.check(&lines, |line| self.units[line].open())?;
        let number = self.next_change();
        self.stop_promising(&lines, number, by)?;

        let mut back = Vec::new();
        for LineAsk { line, units } in &lines {
            let it = &mut self.units[*line];
            it.cancelled += units;
            let waived = it.uncaptured().min(*units);
            it.waived += waived;
            let refunded = (units - waived).min(it.refundable());
            if refunded > 0 {
                back.push(LineAsk { line: *line, units: refunded });
            }
        }
        let whole = untouched && self.units.iter().all(|it| it.open() == 0);
        let mut shipping = false;
        if whole && self.priced.shipping.is_some() {
            self.shipping.waived = !self.shipping.captured;
            shipping = self.shipping.captured && !self.shipping.refunded;
        }
        let refund = if ask.keep_money {
            None
        } else {
            self.give_back(number, &back, shipping, &RefundCause::Cancelled, by, ask.reason.clone())?
        };
        self.owe_void(number, by.at);
        // Also without a discount: that it is one of this customer's orders is a use as well.
        if whole {
            self.owe(number, by.at, WorkKind::ReleaseClaims);
        } else if lines.iter().any(|it| self.priced.lines[it.line].customer_limit.is_some()) {
            self.owe(number, by.at, WorkKind::ReleaseUnits);
        }
        self.derive();
        let mut entry = self.entry(by, EntryKind::Cancelled);
        entry.amount = refund.map(|it| self.money(it));
        entry.lines = lines;
        entry.note.clone_from(&ask.reason);
        Ok(entry)
    }

    /// Units that stock never promised go first; the others are given back where they are promised.
    fn stop_promising(&mut self, lines: &[LineAsk], number: u32, by: &By) -> Result<(), OrderRefusal> {
        for (sku, units) in self.by_sku(lines) {
            let missing = self.open_units(&sku) - self.allocated_units(&sku);
            let promised = units - units.min(missing.max(0));
            if promised > 0 {
                let parts = self.take(&sku, promised, None)?;
                self.owe(number, by.at, WorkKind::GiveBack { sku, parts });
            }
        }
        Ok(())
    }
}
