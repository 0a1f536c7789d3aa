//! The three axes of an order. Derived from units and amounts, then stored, so that lists can filter.
use super::{FulfilmentState, LineUnits, Order};

/// `pending -> placed -> completed`; `pending -> failed`; `placed -> cancelled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Written before the payment; never shown.
    Pending,
    Placed,
    /// Every unit left the house or was cancelled, and what was owed for them is taken.
    Completed,
    /// Every unit was cancelled.
    Cancelled,
    /// Given up before it was placed; kept, never shown.
    Failed,
}

/// From the amounts of the payment ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Nothing is owed.
    None,
    Authorised,
    PartiallyCaptured,
    Captured,
    /// More was taken than is owed.
    Overpaid,
    PartiallyRefunded,
    Refunded,
    Voided,
    /// The buyer's bank has taken money back, or asks for it.
    Disputed,
}

/// From the units and the fulfilments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FulfilmentStatus {
    Unfulfilled,
    /// Some units are in a fulfilment, some are still open.
    Partial,
    /// Every unit is in a fulfilment, and some still stand here, packed.
    Fulfilled,
    Shipped,
    Delivered,
    /// Everything that was shipped came back.
    Returned,
    Cancelled,
}

macro_rules! named {
    ($kind:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $kind {
            pub const fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),+ }
            }

            /// `None` for a name that no version of this type has written.
            pub fn parse(name: &str) -> Option<$kind> {
                match name { $($name => Some($kind::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use named;

named!(Lifecycle {
    Pending = "pending",
    Placed = "placed",
    Completed = "completed",
    Cancelled = "cancelled",
    Failed = "failed",
});
named!(PaymentStatus {
    None = "none",
    Authorised = "authorised",
    PartiallyCaptured = "partially_captured",
    Captured = "captured",
    Overpaid = "overpaid",
    PartiallyRefunded = "partially_refunded",
    Refunded = "refunded",
    Voided = "voided",
    Disputed = "disputed",
});
named!(FulfilmentStatus {
    Unfulfilled = "unfulfilled",
    Partial = "partial",
    Fulfilled = "fulfilled",
    Shipped = "shipped",
    Delivered = "delivered",
    Returned = "returned",
    Cancelled = "cancelled",
});

impl Lifecycle {
    /// Whether it is an order to its buyer and to the staff: it was placed, whatever came after.
    pub const fn was_placed(self) -> bool {
        matches!(self, Lifecycle::Placed | Lifecycle::Completed | Lifecycle::Cancelled)
    }
}

impl Order {
    /// Brings the three axes in line with units and amounts. Ends every change.
    pub(super) fn derive(&mut self) {
        let amounts = self.payment.amounts(self.priced.currency);
        self.payment_status = PaymentStatus::of(&amounts, self.priced.totals.total);
        self.fulfilment_status = self.fulfilment();
        if self.lifecycle.was_placed() {
            self.lifecycle = self.lifecycle_now();
        }
    }

    fn sum(&self, count: impl Fn(&LineUnits) -> u32) -> u64 {
        self.units.iter().map(|it| u64::from(count(it))).sum()
    }

    fn fulfilment(&self) -> FulfilmentStatus {
        let (shipped, open) = (self.sum(|it| it.shipped), self.sum(LineUnits::open));
        if shipped == 0 {
            let gone = open == 0 && !self.units.is_empty();
            return if gone { FulfilmentStatus::Cancelled } else { FulfilmentStatus::Unfulfilled };
        }
        let states = || self.fulfilments.iter().map(|it| it.state).filter(|it| *it != FulfilmentState::Cancelled);
        let arrived = |it: FulfilmentState| matches!(it, FulfilmentState::Delivered | FulfilmentState::Lost);
        if open > 0 {
            FulfilmentStatus::Partial
        } else if self.sum(|it| it.returned) == shipped {
            FulfilmentStatus::Returned
        } else if states().any(|it| it == FulfilmentState::Packed) {
            FulfilmentStatus::Fulfilled
        } else if states().all(arrived) && states().any(|it| it == FulfilmentState::Delivered) {
            FulfilmentStatus::Delivered
        } else {
            FulfilmentStatus::Shipped
        }
    }

    fn lifecycle_now(&self) -> Lifecycle {
        match self.fulfilment_status {
            FulfilmentStatus::Cancelled => Lifecycle::Cancelled,
            FulfilmentStatus::Shipped | FulfilmentStatus::Delivered | FulfilmentStatus::Returned
                if self.is_settled() =>
            {
                Lifecycle::Completed
            }
            FulfilmentStatus::Unfulfilled
            | FulfilmentStatus::Partial
            | FulfilmentStatus::Fulfilled
            | FulfilmentStatus::Shipped
            | FulfilmentStatus::Delivered
            | FulfilmentStatus::Returned => Lifecycle::Placed,
        }
    }
}
