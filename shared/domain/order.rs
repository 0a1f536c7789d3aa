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
    Overpaid = "overpaid",
    PartiallyRefunded = "partially_refunded",
    Refunded = "refunded",
    Voided = "voided",
    Disputed = "disputed"
});
named!(FulfilmentStatus { Unfulfilled = "unfulfilled" });
