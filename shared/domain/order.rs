//! A placed purchase, on three axes: lifecycle, payment, fulfilment. Derived, then stored.

/// `pending -> placed -> completed`; `pending -> failed`; `placed -> cancelled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Written before the payment; never shown.
    Pending,
    Placed,
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
    Voided,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FulfilmentStatus {
    Unfulfilled,
}

macro_rules! named {
    ($kind:ident { $($variant:ident = $name:literal),+ }) => {
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

named!(Lifecycle { Pending = "pending", Placed = "placed", Failed = "failed" });
named!(PaymentStatus {
    None = "none",
    Authorised = "authorised",
    PartiallyCaptured = "partially_captured",
    Captured = "captured",
    Voided = "voided"
});
named!(FulfilmentStatus { Unfulfilled = "unfulfilled" });

impl PaymentStatus {
    /// From what the provider holds, in minor units of one currency.
    pub fn of(authorised: i64, captured: i64, voided: i64) -> PaymentStatus {
        match (authorised, captured) {
            (0, 0) if voided > 0 => PaymentStatus::Voided,
            (0, 0) => PaymentStatus::None,
            (_, 0) if voided >= authorised => PaymentStatus::Voided,
            (_, 0) => PaymentStatus::Authorised,
            (owed, paid) if paid < owed => PaymentStatus::PartiallyCaptured,
            _ => PaymentStatus::Captured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_status_follows_the_amounts() {
        let check =
            |authorised, captured, voided, want| assert_eq!(PaymentStatus::of(authorised, captured, voided), want);
        check(0, 0, 0, PaymentStatus::None);
        check(10, 0, 0, PaymentStatus::Authorised);
        check(10, 4, 0, PaymentStatus::PartiallyCaptured);
        check(10, 10, 0, PaymentStatus::Captured);
        check(10, 0, 10, PaymentStatus::Voided);
    }
}
