//! The three axes of an order. Derived from units and amounts, then stored, so that lists can filter.
use super::{FulfilmentState, LineUnits, Order, OrderPayment};

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

/// From the amounts of the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Nothing is owed.
    None,
    Authorised,
    PartiallyCaptured,
    Captured,
    /// More is captured than the order's total.
    Overpaid,
    PartiallyRefunded,
    Refunded,
    Voided,
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

impl OrderPayment {
    /// How an order of this total, in minor units, is paid for.
    pub fn status(&self, total: i64) -> PaymentStatus {
        let OrderPayment { authorised, captured, refunded, voided, disputed, .. } = *self;
        match captured {
            _ if disputed > 0 => PaymentStatus::Disputed,
            0 if authorised == 0 && voided == 0 => PaymentStatus::None,
            0 if voided >= authorised => PaymentStatus::Voided,
            0 => PaymentStatus::Authorised,
            _ if refunded >= captured => PaymentStatus::Refunded,
            _ if refunded > 0 => PaymentStatus::PartiallyRefunded,
            _ if captured > total => PaymentStatus::Overpaid,
            // What is given back of the authorisation is not owed any more.
            _ if captured < authorised.saturating_sub(voided) => PaymentStatus::PartiallyCaptured,
            _ => PaymentStatus::Captured,
        }
    }
}

impl Order {
    /// Brings the three axes in line with units and amounts. Ends every change.
    pub(super) fn derive(&mut self) {
        self.payment_status = self.payment.status(self.priced.totals.total.minor());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_status_follows_the_amounts() {
        let check = |[authorised, captured, refunded, voided, disputed]: [i64; 5], want| {
            let payment = OrderPayment { authorised, captured, refunded, voided, disputed, ..OrderPayment::default() };
            assert_eq!(payment.status(10), want);
        };
        check([0, 0, 0, 0, 0], PaymentStatus::None);
        check([10, 0, 0, 0, 0], PaymentStatus::Authorised);
        check([10, 4, 0, 0, 0], PaymentStatus::PartiallyCaptured);
        check([10, 4, 0, 6, 0], PaymentStatus::Captured);
        check([10, 10, 0, 0, 0], PaymentStatus::Captured);
        check([10, 0, 0, 10, 0], PaymentStatus::Voided);
        check([10, 10, 3, 0, 0], PaymentStatus::PartiallyRefunded);
        check([10, 10, 10, 0, 0], PaymentStatus::Refunded);
        check([10, 11, 0, 0, 0], PaymentStatus::Overpaid);
        check([10, 10, 0, 0, 10], PaymentStatus::Disputed);
    }
}
