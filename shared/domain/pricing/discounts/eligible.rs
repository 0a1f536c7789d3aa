//! Which promotions are open to this basket, by trigger, dates, rules and effect; and why the others are not.
use time::OffsetDateTime;

use super::{
    super::{Basket, SkipReason, SkippedPromotion, Snapshot, basket::Item},
    effect::{Idle, Work, covered, work},
    fits, rank,
};
use crate::{
    money::{Money, MoneyError},
    promotion::{CODES_MAX, CouponCode, Effect, PROMOTIONS_MAX, Promotion, Rule, Trigger},
};

/// A promotion that is open, and the code that opened it.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub promotion: &'a Promotion,
    pub code: Option<&'a CouponCode>,
    pub single_use: bool,
    /// Other codes that would open it too.
    spare: Vec<&'a CouponCode>,
    pub work: Work<'a>,
}

/// In the order of [`rank`].
#[derive(Default)]
pub(super) struct Found<'a> {
    pub candidates: Vec<Candidate<'a>>,
    pub skipped: Vec<SkippedPromotion>,
}

impl Candidate<'_> {
    /// Notes why it takes nothing off, if it does not; and its spare codes in any case.
    pub(super) fn tell(&self, reason: Option<&SkipReason>, skipped: &mut Vec<SkippedPromotion>) {
        if let Some(reason) = reason {
            skipped.push(told(self.promotion, self.code, reason.clone()));
        }
        let spare = reason.cloned().unwrap_or(SkipReason::AlreadyApplied);
        skipped.extend(self.spare.iter().map(|code| told(self.promotion, Some(code), spare.clone())));
    }
}

fn told(promotion: &Promotion, code: Option<&CouponCode>, reason: SkipReason) -> SkippedPromotion {
    SkippedPromotion { promotion: Some(promotion.id.clone()), code: code.cloned(), reason }
}

/// A code as typed, with what the store knows of it.
#[derive(Clone, Copy)]
struct Typed<'a> {
    code: &'a CouponCode,
    single_use: bool,
}

pub(super) fn eligible<'a>(
    snapshot: &Snapshot<'a>,
    basket: &Basket<'a>,
    items: &[Item<'a>],
    shipping: Option<Money>,
    now: OffsetDateTime,
) -> Result<Found<'a>, MoneyError> {
    let mut found = Found::default();
    let mut promotions: Vec<&'a Promotion> = snapshot.promotions.iter().collect();
    promotions.sort_by_key(|it| rank(it));
    for promotion in promotions.split_off(promotions.len().min(PROMOTIONS_MAX)) {
        found.skipped.push(told(promotion, None, SkipReason::TooMany));
    }
    let codes = codes(basket, &mut found);
    let mut known = vec![false; codes.len()];
    for promotion in promotions {
        let mut typed = Vec::new();
        if let Trigger::Coded { codes: shared } = &promotion.trigger {
            for (code, known) in codes.iter().zip(&mut known) {
                match opens(snapshot, promotion, shared.contains(*code), code) {
                    Opens::No => {}
                    Opens::Used => {
                        *known = true;
                        found.skipped.push(told(promotion, Some(code), SkipReason::Exhausted));
                    }
                    Opens::Yes { single_use } => {
                        *known = true;
                        typed.push(Typed { code, single_use });
                    }
                }
            }
            if typed.is_empty() {
                continue;
            }
        }
        // A shared code costs nothing, so it is used before one that is spent by its use.
        typed.sort_by_key(|it| (it.single_use, it.code));
        let spare = typed.iter().skip(1).map(|it| it.code).collect();
        let (code, single_use) = (typed.first().map(|it| it.code), typed.first().is_some_and(|it| it.single_use));
        match open(snapshot, basket, promotion, items, shipping, now)? {
            Ok(work) => found.candidates.push(Candidate { promotion, code, single_use, spare, work }),
            Err(reason) => {
                let codes = typed.iter().map(|it| Some(it.code));
                let codes: Vec<_> = if code.is_none() { vec![None] } else { codes.collect() };
                found.skipped.extend(codes.into_iter().map(|it| told(promotion, it, reason.clone())));
            }
        }
    }
    for (code, _) in codes.iter().zip(known).filter(|(_, known)| !known) {
        let code = Some((*code).clone());
        found.skipped.push(SkippedPromotion { promotion: None, code, reason: SkipReason::UnknownCode });
    }
    Ok(found)
}

/// The codes that are looked at, sorted, each once.
fn codes<'a>(basket: &Basket<'a>, found: &mut Found<'a>) -> Vec<&'a CouponCode> {
    let mut codes: Vec<&'a CouponCode> = basket.codes.iter().collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes.split_off(codes.len().min(CODES_MAX)) {
        let reason = SkipReason::TooMany;
        found.skipped.push(SkippedPromotion { promotion: None, code: Some(code.clone()), reason });
    }
    codes
}

enum Opens {
    Yes {
        single_use: bool,
    },
    No,
    /// It was for one use, and that is over.
    Used,
}

fn opens(snapshot: &Snapshot<'_>, promotion: &Promotion, shared: bool, code: &CouponCode) -> Opens {
    if shared {
        return Opens::Yes { single_use: false };
    }
    let stored = snapshot.single_use_codes.iter().find(|it| it.code == *code && it.promotion == promotion.id);
    match stored {
        Some(stored) if stored.used => Opens::Used,
        Some(_) => Opens::Yes { single_use: true },
        None => Opens::No,
    }
}

/// What it does here, or why it is closed.
fn open<'a>(
    snapshot: &Snapshot<'a>,
    basket: &Basket<'a>,
    promotion: &'a Promotion,
    items: &[Item<'a>],
    shipping: Option<Money>,
    now: OffsetDateTime,
) -> Result<Result<Work<'a>, SkipReason>, MoneyError> {
    if let Some(reason) = closed(snapshot, basket, promotion, now) {
        return Ok(Err(reason));
    }
    for rule in &promotion.rules {
        if let Some(reason) = unmet(rule, items, snapshot)? {
            return Ok(Err(reason));
        }
    }
    Ok(work(&promotion.effect, items, snapshot.gifts, shipping).map_err(|idle| match idle {
        Idle::Nothing => SkipReason::NothingToDiscount,
        Idle::Units(missing) => SkipReason::TooFewUnits { missing },
        Idle::NoShipping => SkipReason::NoShippingYet,
        Idle::NoGift => match &promotion.effect {
            Effect::Gift { sku, .. } => SkipReason::GiftUnavailable { sku: sku.clone() },
            _ => SkipReason::NothingToDiscount,
        },
    }))
}

/// What does not depend on the goods.
fn closed(
    snapshot: &Snapshot<'_>,
    basket: &Basket<'_>,
    promotion: &Promotion,
    now: OffsetDateTime,
) -> Option<SkipReason> {
    if let Some(from) = promotion.from.filter(|from| now < *from) {
        return Some(SkipReason::NotYet { from });
    }
    if let Some(until) = promotion.until.filter(|until| now >= *until) {
        return Some(SkipReason::Expired { until });
    }
    let foreign = |amount: Money| amount.currency() != snapshot.settings.currency;
    let spend = promotion.rules.iter().filter_map(|it| match it {
        Rule::MinimumSpend { amount, .. } => Some(*amount),
        Rule::MinimumUnits { .. } | Rule::CustomerGroup { .. } | Rule::FirstOrder => None,
    });
    if promotion.effect.amount().into_iter().chain(spend).any(foreign) {
        return Some(SkipReason::WrongCurrency);
    }
    if snapshot.exhausted.contains(&promotion.id) {
        return Some(SkipReason::Exhausted);
    }
    promotion.rules.iter().find_map(|rule| match rule {
        Rule::CustomerGroup { groups } if !basket.customer.groups.iter().any(|it| groups.contains(it)) => {
            Some(SkipReason::WrongCustomer)
        }
        Rule::FirstOrder if !basket.customer.first_order => Some(SkipReason::NotFirstOrder),
        Rule::CustomerGroup { .. } | Rule::FirstOrder | Rule::MinimumSpend { .. } | Rule::MinimumUnits { .. } => None,
    })
}

/// What depends on the goods.
fn unmet(rule: &Rule, items: &[Item<'_>], snapshot: &Snapshot<'_>) -> Result<Option<SkipReason>, MoneyError> {
    match rule {
        Rule::MinimumSpend { amount, goods } => {
            let spent: i128 = covered(goods, items).iter().map(|it| i128::from(items[*it].subtotal.minor())).sum();
            let missing = i128::from(amount.minor()) - spent;
            if missing <= 0 {
                return Ok(None);
            }
            let missing = Money::new(fits(missing)?, snapshot.settings.currency);
            Ok(Some(SkipReason::BelowMinimum { missing }))
        }
        Rule::MinimumUnits { units, goods } => {
            let have: u32 = covered(goods, items).iter().map(|it| items[*it].quantity.get()).sum();
            let missing = units.saturating_sub(have);
            Ok((missing > 0).then_some(SkipReason::TooFewUnits { missing }))
        }
        Rule::CustomerGroup { .. } | Rule::FirstOrder => Ok(None),
    }
}
