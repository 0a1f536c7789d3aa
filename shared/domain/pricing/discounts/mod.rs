//! What promotions take off a basket: the best set of those that may stand together, and why not the others.
//!
//! A promotion first has to be open (its trigger, dates and rules hold: `eligible`). Of the open ones the legal
//! set that saves the buyer most is chosen (`choose`), and applied in this order: product, order, shipping;
//! within a class the higher priority first, then by id. Each takes from what those before it left
//! (`effect`), so no line and no shipping falls below zero, and percentages do not add up past all.
//!
//! Amounts are as entered: with tax where prices include it. A gift counts as saving its price.
mod choose;
mod effect;
mod eligible;

use std::cmp::Reverse;

use time::OffsetDateTime;

use self::{
    choose::best,
    effect::{Left, Work},
    eligible::{Candidate, Found, eligible},
};
use super::{Basket, Discount, Limits, PricingError, SkipReason, SkippedPromotion, Snapshot, basket::Item};
use crate::{
    money::{Money, MoneyError},
    promotion::{Promotion, PromotionId},
};

/// What is taken off, given away and passed over.
pub(super) struct Reduction<'a> {
    /// In the order of application, each with a share for each item and then for each gift.
    pub discounts: Vec<Discount>,
    pub gifts: Vec<(Item<'a>, PromotionId)>,
    pub skipped: Vec<SkippedPromotion>,
}

pub(super) fn reduce<'a>(
    snapshot: &Snapshot<'a>,
    basket: &Basket<'a>,
    items: &[Item<'a>],
    shipping: Option<Money>,
    now: OffsetDateTime,
) -> Result<Reduction<'a>, PricingError> {
    let Found { candidates, mut skipped } = eligible(snapshot, basket, items, shipping, now)?;
    let mode = snapshot.settings.rounding.mode;
    let chosen = best(&candidates, items, shipping, mode)?;
    let (discounts, gifts) = applied(snapshot, &candidates, &chosen, items, shipping)?;
    for candidate in &candidates {
        let given = discounts.iter().find(|it| it.promotion == candidate.promotion.id);
        let reason = match given {
            Some(_) => None,
            None => Some(conflict(candidate, &candidates, &discounts)),
        };
        candidate.tell(reason.as_ref(), &mut skipped);
    }
    skipped.sort_by(|one, other| (&one.code, &one.promotion).cmp(&(&other.code, &other.promotion)));
    Ok(Reduction { discounts, gifts, skipped })
}

type Given<'a> = (Vec<Discount>, Vec<(Item<'a>, PromotionId)>);

/// Takes off what the chosen promotions take; those that find nothing left are not among the answer.
fn applied<'a>(
    snapshot: &Snapshot<'a>,
    candidates: &[Candidate<'a>],
    chosen: &[usize],
    items: &[Item<'a>],
    shipping: Option<Money>,
) -> Result<Given<'a>, PricingError> {
    let currency = snapshot.settings.currency;
    let money = |minor: i64| Money::new(minor, currency);
    let mut left = Left::of(items, shipping);
    let mut discounts: Vec<Discount> = Vec::with_capacity(chosen.len());
    let mut gifts = Vec::new();
    // With the gift that a discount is, among the gifts.
    let mut gift_of: Vec<Option<usize>> = Vec::with_capacity(chosen.len());
    for candidate in chosen.iter().filter_map(|it| candidates.get(*it)) {
        let taken = candidate.work.take(&mut left, items, snapshot.settings.rounding.mode)?;
        let mut gift = None;
        if let Work::Gift { offer, units } = &candidate.work {
            gift = Some(gifts.len());
            gifts.push((Item::gift(offer, *units)?, candidate.promotion.id.clone()));
        }
        if taken.is_nothing() && gift.is_none() {
            continue;
        }
        gift_of.push(gift);
        discounts.push(Discount {
            promotion: candidate.promotion.id.clone(),
            code: candidate.code.cloned(),
            title: candidate.promotion.title.clone(),
            amount: money(taken.sum()?),
            lines: taken.lines.into_iter().map(money).collect(),
            shipping: money(taken.shipping),
            limits: Limits {
                total: candidate.promotion.uses.total,
                per_customer: candidate.promotion.uses.per_customer,
                first_order: candidate.promotion.first_order_only(),
                single_use_code: candidate.single_use,
            },
        });
    }
    for (discount, gift) in discounts.iter_mut().zip(gift_of) {
        discount.lines.resize(items.len() + gifts.len(), money(0));
        if let Some(gift) = gift {
            let value = gifts[gift].0.subtotal;
            discount.lines[items.len() + gift] = value;
            discount.amount = discount.amount.plus(value)?;
        }
    }
    Ok((discounts, gifts))
}

/// Why a promotion that is open was not applied: the first of the applied ones it may not stand beside.
fn conflict(candidate: &Candidate<'_>, all: &[Candidate<'_>], discounts: &[Discount]) -> SkipReason {
    let mut applied = discounts.iter().filter_map(|it| all.iter().find(|one| one.promotion.id == it.promotion));
    match applied.find(|it| !it.promotion.combines(candidate.promotion)) {
        Some(other) => SkipReason::NotCombinable { with: other.promotion.id.clone() },
        None => SkipReason::NothingToDiscount,
    }
}

/// The order in which promotions are looked at and applied within a class.
fn rank(promotion: &Promotion) -> (Reverse<i32>, &PromotionId) {
    (Reverse(promotion.priority), &promotion.id)
}

fn fits(amount: i128) -> Result<i64, MoneyError> {
    i64::try_from(amount).map_err(|_| MoneyError::Overflow)
}
