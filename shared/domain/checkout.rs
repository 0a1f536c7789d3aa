//! A checkout: the one way from a cart to an order, and what is known about a completion under way.
//!
//! ```text
//! open -> completing: holding -> paying -> [action required] -> finalising -> placed
//!                     any of them -> undoing -> open
//! ```
//! A run holds a lease and a fence number. When the lease lapses anyone may take over with a higher
//! fence; whatever the older run still does is refused by etag or fence.
use time::{Duration, OffsetDateTime};

use crate::{
    address::{Address, Email},
    allowance::Exceeded,
    ids::CheckoutId,
    money::Money,
    pricing::Priced,
    sku::Sku,
};

/// How long a run may be silent before another may take over. Longer than asking the provider twice; a store
/// that is slow as well can outlast it, and then etag and fence stop the older run.
pub const LEASE: Duration = Duration::seconds(10);
/// When the resume message first looks after a run; after the lease.
pub const RESUME_AFTER: Duration = Duration::seconds(15);
/// How long stock is held for a payment.
pub const HOLD_FOR: Duration = Duration::minutes(10);
/// How long a buyer may take for an extra step at the bank.
pub const ACTION_FOR: Duration = Duration::minutes(15);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    pub id: CheckoutId,
    pub buyer: Buyer,
    pub shipping_method: String,
    pub state: CheckoutState,
    /// Completions begun so far; names the payment of each.
    pub attempts: u32,
    /// The highest fence given to a run so far.
    pub fence: u32,
    /// The completion that ended last without an order.
    pub last: Option<Finished>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer {
    pub email: Email,
    pub shipping_address: Address,
    /// `None`: as the shipping address.
    pub billing_address: Option<Address>,
    /// The account of who was signed in when the completion began: a hash of its subject.
    pub account: Option<String>,
}

impl Buyer {
    /// The names under which what this customer may have is counted.
    pub fn customer_keys(&self) -> Vec<String> {
        customer_keys(Some(&self.email), self.account.as_deref())
    }
}

/// The names under which what one customer may have is counted: each counts alone, so neither another address
/// nor signing out gives more.
pub fn customer_keys(email: Option<&Email>, account: Option<&str>) -> Vec<String> {
    let account = account.map(|it| format!("account-{it}"));
    email.map(Email::customer_key).into_iter().chain(account).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutState {
    Open,
    Completing(Box<Attempt>),
    Placed { by: KeyUse },
}

/// An idempotency key and the request it was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// SHA-256 of the key, hexadecimal.
    pub key: String,
    /// SHA-256 of method, path, caller and canonical body.
    pub fingerprint: String,
}

/// How the buyer pays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentChoice {
    /// The provider's method name, e.g. `sandbox_approve`.
    pub method: String,
    /// The provider's name for what the buyer pays with, made in the browser, e.g. `pm_…`; no card data.
    pub token: Option<String>,
    /// Where the provider sends the buyer after an extra step.
    pub return_url: Option<String>,
}

/// One completion. What is bought and for how much is frozen here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub by: KeyUse,
    pub payment: PaymentChoice,
    /// The provider's own name for the payment, if it gave one before any money was asked for.
    pub provider_id: Option<String>,
    pub priced: Priced,
    pub step: Step,
    pub fence: u32,
    /// `None` while the buyer is away for an extra step.
    pub lease_until: Option<OffsetDateTime>,
    pub hold_until: OffsetDateTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Locking the cart and holding stock; no money is involved yet.
    Holding,
    /// The hidden order is written; the provider may or may not have heard of the payment.
    Paying,
    /// The buyer must visit `url`.
    ActionRequired { url: String },
    /// The money is authorised: claim the stock, capture, place.
    Finalising,
    /// Being undone for good; no order comes of this attempt.
    Undoing { refusal: Refusal },
}

/// Why a completion ended without an order. Final for its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    OutOfStock {
        short: Vec<Shortage>,
    },
    Declined {
        reason: String,
    },
    /// A promotion that was priced in has no use left, for anyone or for this customer.
    PromotionExhausted {
        /// The promotion's id.
        promotion: String,
        /// The code that it came by, as the buyer would know it.
        code: Option<String>,
    },
    /// Another purchase of this customer was faster.
    AboveCustomerMaximum(Exceeded),
    /// The cart was changed between pricing and locking.
    CartChanged,
    /// The buyer did not come back in time.
    Abandoned,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub sku: Sku,
    pub requested: i64,
    pub available: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub by: KeyUse,
    pub refusal: Refusal,
    pub at: OffsetDateTime,
}

/// How long an idempotency key is remembered.
pub const KEY_KEPT: Duration = Duration::hours(24);

impl Finished {
    /// Whether this key is still answered with this end; later it is a new key.
    pub fn answers(&self, key: &str, now: OffsetDateTime) -> bool {
        self.by.key == key && now < self.at + KEY_KEPT
    }
}

impl Attempt {
    /// The payment's name at the provider.
    pub fn reference(&self, checkout: CheckoutId) -> String {
        checkout.attempt(self.number)
    }

    pub fn total(&self) -> Money {
        self.priced.totals.total
    }

    /// Seconds until someone else may take over; `None` if now.
    pub fn busy_for(&self, now: OffsetDateTime) -> Option<u32> {
        let left = self.lease_until? - now;
        if left <= Duration::ZERO {
            return None;
        }
        Some(u32::try_from(left.whole_seconds()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// A new run takes over, or the present one goes on.
    pub fn renew(&mut self, now: OffsetDateTime) {
        self.lease_until = Some(now + LEASE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Currency, pricing::Totals, rounding::Rounding};

    #[test]
    fn a_lease_is_busy_until_it_lapses() {
        let start = time::macros::datetime!(2026-01-01 12:00:00 UTC);
        let zero = Money::zero(Currency::parse("GBP").unwrap());
        let priced = Priced {
            currency: zero.currency(),
            rounding: Rounding::default(),
            tax_included: false,
            lines: Vec::new(),
            shipping: None,
            discounts: Vec::new(),
            skipped: Vec::new(),
            problems: Vec::new(),
            totals: Totals::zero(zero.currency()),
        };
        let mut attempt = Attempt {
            number: 1,
            by: KeyUse { key: String::new(), fingerprint: String::new() },
            payment: PaymentChoice::default(),
            provider_id: None,
            priced,
            step: Step::Holding,
            fence: 1,
            lease_until: None,
            hold_until: start,
        };
        assert_eq!(attempt.busy_for(start), None);
        attempt.renew(start);
        assert_eq!(attempt.busy_for(start), Some(11));
        assert_eq!(attempt.busy_for(start + LEASE), None);
    }
}
