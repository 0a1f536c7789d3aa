//! Tax of every line under the three policies.
use crate::{
    allocation::{Share, allocate},
    money::{Money, MoneyError},
    rounding::{Rounding, RoundingLevel, RoundingMode},
    store::Rate,
};

/// What is taxed: a line after its discounts, or shipping as one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub amount: Money,
    pub units: u32,
    pub rate: Rate,
}

/// The tax of each, in order.
pub(super) fn taxes(bases: &[Base], included: bool, rounding: Rounding) -> Result<Vec<Money>, MoneyError> {
    let mode = rounding.mode;
    match rounding.level {
        RoundingLevel::Line => bases.iter().map(|it| tax_on(it.amount, it.rate, included, mode)).collect(),
        RoundingLevel::Unit => bases.iter().map(|it| by_unit(*it, included, mode)).collect(),
        RoundingLevel::Total => by_rate(bases, included, mode),
    }
}

/// Tax that an amount bears: contained in it where prices include tax, on top of it where not.
fn tax_on(amount: Money, rate: Rate, included: bool, mode: RoundingMode) -> Result<Money, MoneyError> {
    if included { rate.within_gross(amount, mode) } else { rate.on_net(amount, mode) }
}

/// Tax of each unit, summed. An amount that does not divide evenly makes some units one minor unit dearer.
fn by_unit(base: Base, included: bool, mode: RoundingMode) -> Result<Money, MoneyError> {
    let units = i64::from(base.units.max(1));
    let (each, dearer) = (base.amount.minor().div_euclid(units), base.amount.minor().rem_euclid(units));
    let currency = base.amount.currency();
    let tax = |minor| tax_on(Money::new(minor, currency), base.rate, included, mode).map(Money::minor);
    let plain = tax(each)?.checked_mul(units - dearer).ok_or(MoneyError::Overflow)?;
    let more = if dearer == 0 { 0 } else { tax(each + 1)?.checked_mul(dearer).ok_or(MoneyError::Overflow)? };
    Ok(Money::new(plain.checked_add(more).ok_or(MoneyError::Overflow)?, currency))
}

/// Tax of each rate on the sum, shared out in proportion to the amounts.
fn by_rate(bases: &[Base], included: bool, mode: RoundingMode) -> Result<Vec<Money>, MoneyError> {
    let mut taxes: Vec<Option<Money>> = vec![None; bases.len()];
    for first in 0..bases.len() {
        if taxes[first].is_some() {
            continue;
        }
        let rate = bases[first].rate;
        let currency = bases[first].amount.currency();
        let same: Vec<usize> = (first..bases.len()).filter(|it| bases[*it].rate == rate).collect();
        let sum = Money::sum(currency, same.iter().map(|it| bases[*it].amount))?;
        let tax = tax_on(sum, rate, included, mode)?;
        let shares: Vec<Share> = same.iter().map(|it| Share::of_remainder(bases[*it].amount.minor())).collect();
        for (it, share) in same.into_iter().zip(allocate(tax.minor(), &shares)?) {
            taxes[it] = Some(Money::new(share, currency));
        }
    }
    Ok(taxes.into_iter().flatten().collect())
}
