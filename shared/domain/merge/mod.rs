//! What becomes of a guest's cart when its shopper signs in: one pure function from two carts to one, and
//! a report that accounts for every unit of both.
//!
//! Nothing is dropped in silence: for each SKU of either cart the report says how many units the guest had,
//! how many the customer had, how many are in the cart now, and why that is not what one would expect.
use std::collections::BTreeMap;

use crate::{
    cart::{Cart, CartLine, LINES_MAX},
    money::Money,
    promotion::{CODES_MAX, CouponCode},
    quantity::{QUANTITY_MAX, Quantity},
    sku::Sku,
    store::QuantityLimits,
};

/// How the units of two carts become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeStrategy {
    /// Both together, as far as limits allow.
    #[default]
    Sum,
    /// The customer's cart as it was; the guest's only if the customer's was empty.
    KeepCustomer,
    /// The guest's cart as it was; the customer's only if the guest's was empty.
    KeepGuest,
    /// The larger number of each SKU.
    Max,
}

impl MergeStrategy {
    pub const ALL: [MergeStrategy; 4] =
        [MergeStrategy::Sum, MergeStrategy::KeepCustomer, MergeStrategy::KeepGuest, MergeStrategy::Max];

    /// As stored and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            MergeStrategy::Sum => "sum",
            MergeStrategy::KeepCustomer => "keep_customer",
            MergeStrategy::KeepGuest => "keep_guest",
            MergeStrategy::Max => "max",
        }
    }

    pub fn parse(name: &str) -> Option<MergeStrategy> {
        MergeStrategy::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Why a line is not what its two numbers suggest, or what is to be known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeReason {
    /// A limit of the shop allows no more.
    Capped,
    /// It is in the cart, but nothing of it can be had at the moment.
    SoldOut,
    /// No longer for sale: the guest's units were left behind.
    Archived,
    /// It was put in at a price in another currency; now it is priced in the customer's.
    Currency,
    /// The cart holds as many different things as it can.
    TooManyLines,
    /// The strategy keeps the other cart.
    NotKept,
}

impl MergeReason {
    pub const ALL: [MergeReason; 6] = [
        MergeReason::Capped,
        MergeReason::SoldOut,
        MergeReason::Archived,
        MergeReason::Currency,
        MergeReason::TooManyLines,
        MergeReason::NotKept,
    ];

    /// As stored and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            MergeReason::Capped => "capped",
            MergeReason::SoldOut => "sold_out",
            MergeReason::Archived => "archived",
            MergeReason::Currency => "currency",
            MergeReason::TooManyLines => "too_many_lines",
            MergeReason::NotKept => "not_kept",
        }
    }

    pub fn parse(name: &str) -> Option<MergeReason> {
        MergeReason::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What became of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedLine {
    pub sku: Sku,
    pub guest: u32,
    pub customer: u32,
    pub result: u32,
    pub reason: Option<MergeReason>,
}

/// What became of one code of either cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedCode {
    pub code: CouponCode,
    /// Whether it is on the cart now. If not, the other cart's were kept, or there were too many.
    pub kept: bool,
}

/// Everything that became of both carts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeReport {
    pub lines: Vec<MergedLine>,
    pub codes: Vec<MergedCode>,
}

/// What the shop knows of a SKU at this moment; absent from the map if it is not for sale.
#[derive(Clone, Copy, Debug)]
pub struct ForSale {
    pub price: Money,
    pub sold_out: bool,
}

/// Puts the guest's lines and codes into the customer's cart; answers one line for each SKU of either, the
/// customer's first. `cart` must be open: who calls has asked.
pub fn merge(
    guest: &Cart,
    cart: &mut Cart,
    strategy: MergeStrategy,
    for_sale: &BTreeMap<Sku, ForSale>,
    limits: &QuantityLimits,
) -> MergeReport {
    let strategy = match strategy {
        MergeStrategy::KeepCustomer if cart.lines.is_empty() => MergeStrategy::Sum,
        MergeStrategy::KeepGuest if guest.lines.is_empty() => MergeStrategy::Sum,
        other => other,
    };
    let codes = merge_codes(&guest.codes, cart, strategy);
    MergeReport { lines: merge_lines(&guest.lines, cart, strategy, for_sale, limits), codes }
}

/// Codes that both carts may keep stand once; the customer's come first.
fn merge_codes(guest: &[CouponCode], cart: &mut Cart, strategy: MergeStrategy) -> Vec<MergedCode> {
    let own = std::mem::take(&mut cart.codes);
    let (first, second): (&[CouponCode], &[CouponCode]) = match strategy {
        MergeStrategy::KeepCustomer => (&own, &[]),
        MergeStrategy::KeepGuest => (guest, &[]),
        MergeStrategy::Sum | MergeStrategy::Max => (&own, guest),
    };
    for code in first.iter().chain(second) {
        if cart.codes.len() < CODES_MAX && !cart.codes.contains(code) {
            cart.codes.push(code.clone());
        }
    }
    let new = guest.iter().filter(|it| !own.contains(it));
    own.iter().chain(new).map(|code| MergedCode { code: code.clone(), kept: cart.codes.contains(code) }).collect()
}

fn merge_lines(
    guest: &[CartLine],
    cart: &mut Cart,
    strategy: MergeStrategy,
    for_sale: &BTreeMap<Sku, ForSale>,
    limits: &QuantityLimits,
) -> Vec<MergedLine> {
    let before = std::mem::take(&mut cart.lines);
    let units =
        |lines: &[CartLine], sku: &Sku| lines.iter().find(|it| it.sku == *sku).map_or(0, |it| it.quantity.get());
    let new = guest.iter().filter(|line| units(&before, &line.sku) == 0);
    let keeps_own = strategy != MergeStrategy::KeepGuest;
    let mut space = Space { limits, left: limits.per_cart.unwrap_or(u32::MAX), keeps_own };
    if keeps_own {
        space.left = before.iter().fold(space.left, |left, line| left.saturating_sub(line.quantity.get()));
    }
    let mut report = Vec::new();
    for line in before.iter().chain(new) {
        let sku = &line.sku;
        let (theirs, own) = (units(guest, sku), units(&before, sku));
        let mut decided = decide(strategy, theirs, own);
        if decided.0 > own || !keeps_own {
            decided = space.allow(sku, decided, own, for_sale.get(sku), cart);
        }
        let (result, mut reason) = decided;
        if let Ok(quantity) = Quantity::new(result) {
            let (price, repriced) = price_of(line, cart, for_sale.get(sku));
            if reason.is_none() && theirs > 0 {
                let sold_out = for_sale.get(sku).is_some_and(|it| it.sold_out);
                reason = sold_out.then_some(MergeReason::SoldOut).or(repriced.then_some(MergeReason::Currency));
            }
            cart.lines.push(CartLine { sku: sku.clone(), quantity, price_when_added: price });
        }
        report.push(MergedLine { sku: sku.clone(), guest: theirs, customer: own, result, reason });
    }
    report
}

/// What the strategy wants, before limits.
fn decide(strategy: MergeStrategy, guest: u32, customer: u32) -> (u32, Option<MergeReason>) {
    let lost = |kept: u32, other: u32| (kept, (other > 0 && kept != other).then_some(MergeReason::NotKept));
    match strategy {
        MergeStrategy::Sum => (guest.saturating_add(customer), None),
        MergeStrategy::Max => (guest.max(customer), None),
        MergeStrategy::KeepCustomer => lost(customer, guest),
        MergeStrategy::KeepGuest => lost(guest, customer),
    }
}

/// What limits still allow.
struct Space<'a> {
    limits: &'a QuantityLimits,
    /// Units that may still be added, of all things together.
    left: u32,
    /// Whether what the customer has is never taken away.
    keeps_own: bool,
}

impl Space<'_> {
    fn allow(
        &mut self,
        sku: &Sku,
        (wanted, reason): (u32, Option<MergeReason>),
        own: u32,
        for_sale: Option<&ForSale>,
        cart: &Cart,
    ) -> (u32, Option<MergeReason>) {
        let floor = if self.keeps_own { own } else { 0 };
        let obstacle = match for_sale {
            None => Some(MergeReason::Archived),
            Some(offer) if offer.price.currency() != cart.currency => Some(MergeReason::Currency),
            Some(_) if floor == 0 && cart.lines.len() >= LINES_MAX => Some(MergeReason::TooManyLines),
            Some(_) => None,
        };
        if let Some(obstacle) = obstacle {
            return (floor, if wanted > floor { Some(obstacle) } else { reason });
        }
        let most = self.limits.of(sku).1.min(QUANTITY_MAX).min(floor.saturating_add(self.left)).max(floor);
        let result = wanted.min(most);
        self.left = self.left.saturating_sub(result - floor);
        (result, if result < wanted { Some(MergeReason::Capped) } else { reason })
    }
}

/// The price the line was put in at, or today's if that was in another currency.
fn price_of(line: &CartLine, cart: &Cart, for_sale: Option<&ForSale>) -> (Money, bool) {
    if line.price_when_added.currency() == cart.currency {
        return (line.price_when_added, false);
    }
    (for_sale.map_or(Money::zero(cart.currency), |it| it.price), true)
}

#[cfg(test)]
mod tests;
