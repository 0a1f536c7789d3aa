//! From a frozen, priced purchase to a placed order.
use time::OffsetDateTime;

use super::{
    Allocation, By, Entry, EntryKind, FulfilmentStatus, Lifecycle, LineUnits, Order, OrderPayment, OrderRefusal,
    PaymentStatus, ShippingMoney,
};
use crate::{
    checkout::Buyer,
    ids::OrderId,
    pricing::Priced,
    sku::Sku,
    stock::{Location, Part},
};

impl Order {
    /// Written before the payment, hidden until it is placed.
    pub fn pending(
        id: OrderId,
        token_hash: String,
        buyer: Buyer,
        priced: Priced,
        payment: OrderPayment,
        now: OffsetDateTime,
    ) -> Order {
        let units = priced.lines.iter().map(|it| LineUnits::new(it.quantity.get())).collect();
        Order {
            id,
            token_hash,
            buyer,
            priced,
            lifecycle: Lifecycle::Pending,
            payment_status: PaymentStatus::None,
            fulfilment_status: FulfilmentStatus::Unfulfilled,
            payment,
            created_at: now,
            placed_at: None,
            units,
            shipping: ShippingMoney::default(),
            allocations: Vec::new(),
            fulfilments: Vec::new(),
            returns: Vec::new(),
            refunds: Vec::new(),
            works: Vec::new(),
            on_hold: None,
            changes: 0,
        }
    }

    /// Places it: the goods stand at `allocations`, the payment's amounts are those of `self.payment`. What
    /// is captured by now was captured for all of it; otherwise money is asked for as goods leave. Answers
    /// the timeline's first entry.
    pub fn place(&mut self, allocations: Vec<(Sku, Vec<Part>)>, by: &By) -> Entry {
        self.lifecycle = Lifecycle::Placed;
        self.placed_at = Some(by.at);
        self.allocations.clear();
        for (sku, parts) in allocations {
            self.promise(&sku, parts);
        }
        self.count_captured();
        self.next_change();
        self.derive();
        let mut entry = self.entry(by, EntryKind::Placed);
        entry.amount = Some(self.priced.totals.total);
        entry
    }

    /// Holds the order back, or lets it go: then what is due and could not be captured is asked for again.
    /// `None`: it is as asked already.
    ///
    /// # Errors
    /// `Money`.
    pub fn set_hold(&mut self, reason: Option<String>, by: &By) -> Result<Option<Entry>, OrderRefusal> {
        if self.on_hold == reason {
            return Ok(None);
        }
        let number = self.next_change();
        if reason.is_none() {
            self.owe_capture(number, by.at)?;
        }
        let kind = if reason.is_some() { EntryKind::Held } else { EntryKind::Released };
        let mut entry = self.entry(by, kind);
        entry.note = reason.clone().or(self.on_hold.take());
        self.on_hold = reason;
        self.derive();
        Ok(Some(entry))
    }

    /// Nothing may be shipped until a person has looked at it.
    pub fn hold_back(&mut self, reason: &str, by: &By) -> Entry {
        self.on_hold = Some(reason.to_owned());
        self.next_change();
        self.derive();
        let mut entry = self.entry(by, EntryKind::Held);
        entry.note = Some(reason.to_owned());
        entry
    }

    /// As an order written before units were counted must be read: all of it open, all of it at the one
    /// location there was, its money taken at the placing.
    #[must_use]
    pub fn with_all_open(mut self, location: &Location) -> Order {
        self.units = self.priced.lines.iter().map(|it| LineUnits::new(it.quantity.get())).collect();
        if self.lifecycle.was_placed() {
            for line in self.priced.lines.clone() {
                let part = Part { location: location.clone(), units: i64::from(line.quantity.get()) };
                self.promise(&line.sku, vec![part]);
            }
            self.count_captured();
        }
        self
    }

    fn count_captured(&mut self) {
        if self.payment.captured > 0 || self.priced.totals.total.is_zero() {
            for units in &mut self.units {
                units.captured = units.ordered;
            }
            self.shipping.captured = self.priced.shipping.is_some();
        }
    }

    /// Units of a SKU that stock still counts as promised to this order: open ones, packed ones, and those
    /// whose movement is still owed.
    pub fn promised_units(&self, sku: &Sku) -> i64 {
        use super::{FulfilmentState, WorkKind};
        let mine = |it: &&Allocation| it.sku == *sku;
        let packed = self.fulfilments.iter().filter(|it| it.state == FulfilmentState::Packed);
        let packed: i64 = packed.flat_map(|it| it.parts.iter().filter(mine)).map(Allocation::units).sum();
        let owed = self.works.iter().filter_map(|it| match &it.kind {
            WorkKind::Ship { sku: it, parts } | WorkKind::GiveBack { sku: it, parts } if it == sku => Some(parts),
            _ => None,
        });
        let owed: i64 = owed.flatten().map(|it| it.units).sum();
        self.allocated_units(sku) + packed + owed
    }
}
