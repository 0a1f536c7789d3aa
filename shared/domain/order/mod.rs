//! An order: what was bought, what became of each unit, of the money, and what is still owed to the world.
//!
//! Every change is decided here, purely, on the order as stored: it counts units, plans money and notes the
//! effects that follow as [`Work`]. The order is written with its change or not at all, so whatever reads it
//! sees sums that add up:
//! - per line `ordered = open + cancelled + shipped`, `returned <= shipped`, so nothing is shipped twice;
//! - `captured units + waived units <= ordered`, `refunded units <= captured units`;
//! - refunds that succeeded or may still succeed never exceed what was captured.
//!
//! A method that refuses may leave the order half changed: drop it then, as every caller does.
mod cancel;
mod entry;
mod fulfilment;
mod money;
mod number;
mod placing;
mod refund;
mod returns;
mod status;
mod units;
mod work;

use time::OffsetDateTime;

pub use cancel::Cancel;
pub use entry::{Actor, By, Entry, EntryKind};
pub use fulfilment::{Fulfil, Fulfilment, FulfilmentState, PARCELS_MAX, Parcel};
pub use money::{OrderPayment, ShippingMoney};
pub use number::{BadNumber, OrderNumber};
pub use refund::{Refund, RefundAsk, RefundCause, RefundLine, RefundState};
pub use returns::{ChangeReturn, Return, ReturnLine, ReturnState};
pub use status::{FulfilmentStatus, Lifecycle, PaymentStatus};
pub use units::{Allocation, LineAsk, LineUnits};
pub use work::{Finished, Outcome, Work, WorkKind};

use crate::{
    checkout::Buyer,
    ids::OrderId,
    money::{Money, MoneyError},
    pricing::Priced,
    sku::Sku,
};

/// Most fulfilments, returns and refunds of one order, each.
pub const RECORDS_MAX: usize = 200;

/// One purchase. Amounts are minor units of the order's one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    /// Of the cart's token, which opens the order for its buyer.
    pub token_hash: String,
    pub buyer: Buyer,
    /// Frozen when the purchase began; never changes.
    pub priced: Priced,
    pub lifecycle: Lifecycle,
    pub payment_status: PaymentStatus,
    pub fulfilment_status: FulfilmentStatus,
    pub payment: OrderPayment,
    pub created_at: OffsetDateTime,
    pub placed_at: Option<OffsetDateTime>,
    /// One for each line of `priced`, in its order.
    pub units: Vec<LineUnits>,
    pub shipping: ShippingMoney,
    /// Where open units are promised: what fulfilments and cancellations take from.
    pub allocations: Vec<Allocation>,
    pub fulfilments: Vec<Fulfilment>,
    pub returns: Vec<Return>,
    pub refunds: Vec<Refund>,
    /// What the order owes the world, in the order in which it must happen. What is done is gone.
    pub works: Vec<Work>,
    /// Why nothing may be shipped for now.
    pub on_hold: Option<String>,
    /// Changes so far, the timeline's last number: names whatever a change makes.
    pub changes: u32,
}

/// Why an order does not change as asked. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    #[error("the order is {lifecycle}")]
    NotPlaced { lifecycle: &'static str },
    #[error("the order is on hold: {reason}")]
    OnHold { reason: String },
    #[error("the order has no line {line}")]
    NoSuchLine { line: usize },
    #[error("name each line once, with at least one unit")]
    NoUnits,
    #[error("line {line} has {most} units for this")]
    TooMany { line: usize, most: u32 },
    #[error("only {units} units of {sku} are promised to this order there")]
    NotAllocated { sku: Sku, units: i64 },
    #[error("there is no money for these goods any more")]
    NotPaid,
    #[error("something is fulfilled already")]
    Fulfilled,
    #[error("nothing is left to do this with")]
    NothingLeft,
    #[error("at most {left} can be refunded")]
    TooMuch { left: Money },
    #[error("the order has no fulfilment {id}")]
    NoSuchFulfilment { id: String },
    #[error("the order has no return {id}")]
    NoSuchReturn { id: String },
    #[error("it is {is}, so it cannot become {wanted}")]
    WrongState { is: &'static str, wanted: &'static str },
    #[error("an order has at most {max} {what}")]
    Full { what: &'static str, max: usize },
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Order {
    /// Refuses unless goods may still move: a purchase that was placed and not given up as a whole.
    fn must_be_placed(&self) -> Result<(), OrderRefusal> {
        match self.lifecycle {
            Lifecycle::Placed | Lifecycle::Completed => Ok(()),
            lifecycle => Err(OrderRefusal::NotPlaced { lifecycle: lifecycle.name() }),
        }
    }

    /// Begins a change: everything it makes is named after its number.
    fn next_change(&mut self) -> u32 {
        self.changes = self.changes.saturating_add(1);
        self.changes
    }

    /// The id of the thing that change `number` makes, e.g. `ref_01J…_7`.
    fn name(&self, prefix: &str, number: u32) -> String {
        format!("{prefix}_{}_{number}", self.id.ulid())
    }
}

#[cfg(test)]
mod tests;
