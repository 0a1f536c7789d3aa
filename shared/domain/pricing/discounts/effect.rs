//! What one promotion takes from what is left.
use super::{super::basket::Item, fits};
use crate::{
    allocation::{Share, allocate},
    money::{Money, MoneyError},
    offer::Offer,
    promotion::{Effect, Goods},
    quantity::Quantity,
    rounding::RoundingMode,
    store::Rate,
};

/// What has not been taken off yet, in minor units.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// Of each item.
    pub lines: Vec<i64>,
    pub shipping: i64,
}

impl Left {
    pub(super) fn of(items: &[Item<'_>], shipping: Option<Money>) -> Left {
        let lines = items.iter().map(|it| it.subtotal.minor()).collect();
        Left { lines, shipping: shipping.map_or(0, Money::minor) }
    }

    pub(super) fn goods(&self) -> i64 {
        // All subtotals together fit, or the basket would not have been priced so far.
        self.lines.iter().sum()
    }
}

/// What was taken, in minor units. `lines` may end early: what is missing is nothing.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub lines: Vec<i64>,
    pub shipping: i64,
}

impl Taken {
    pub(super) fn is_nothing(&self) -> bool {
        self.shipping == 0 && self.lines.iter().all(|it| *it == 0)
    }

    pub(super) fn sum(&self) -> Result<i64, MoneyError> {
        fits(self.lines.iter().map(|it| i128::from(*it)).sum::<i128>() + i128::from(self.shipping))
    }
}

/// An effect with the items it works on found once.
#[derive(Debug)]
pub(super) enum Work<'a> {
    Percent {
        rate: Rate,
        on: Vec<usize>,
    },
    /// `amount` off each unit.
    Fixed {
        amount: i64,
        on: Vec<usize>,
    },
    /// Items and how many units of each.
    Units {
        rate: Rate,
        on: Vec<(usize, u32)>,
    },
    Gift {
        offer: &'a Offer,
        units: Quantity,
    },
    Order(Cut),
    Shipping(Cut),
}

/// Off one amount.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Percent(Rate),
    Fixed(i64),
    All,
}

impl Cut {
    /// From zero to `amount`.
    pub(super) fn of(self, amount: i64, mode: RoundingMode) -> i64 {
        match self {
            Cut::Percent(rate) => share(amount, rate, mode),
            Cut::Fixed(fixed) => fixed.clamp(0, amount),
            Cut::All => amount,
        }
    }
}

/// A rate never passes 100 %, so the share is at most the amount.
fn share(amount: i64, rate: Rate, mode: RoundingMode) -> i64 {
    let share = mode.divide(i128::from(amount) * i128::from(rate.millionths()), 1_000_000);
    i64::try_from(share).unwrap_or(amount)
}

impl Work<'_> {
    /// Takes it off, and answers what it took. A gift takes nothing from what is left.
    pub(super) fn take(&self, left: &mut Left, items: &[Item<'_>], mode: RoundingMode) -> Result<Taken, MoneyError> {
        let mut taken = Taken::default();
        if let Work::Shipping(cut) = self {
            taken.shipping = cut.of(left.shipping, mode);
            left.shipping -= taken.shipping;
            return Ok(taken);
        }
        if let Work::Order(cut) = self {
            let amount = cut.of(left.goods(), mode);
            let shares: Vec<Share> = left.lines.iter().map(|it| Share::of_remainder(*it)).collect();
            taken.lines = allocate(amount, &shares)?;
            left.lines.iter_mut().zip(&taken.lines).for_each(|(left, taken)| *left -= taken);
            return Ok(taken);
        }
        taken.lines = vec![0; items.len()];
        self.each(items, left, mode, |item, amount| taken.lines[item] = amount);
        Ok(taken)
    }

    /// Takes it off without keeping count by line; for the product class only.
    pub(super) fn take_quietly(&self, left: &mut Left, items: &[Item<'_>], mode: RoundingMode) {
        self.each(items, left, mode, |_, _| {});
    }

    fn each(&self, items: &[Item<'_>], left: &mut Left, mode: RoundingMode, mut told: impl FnMut(usize, i64)) {
        let mut take = |item: usize, amount: &dyn Fn(i64) -> i64| {
            let left = &mut left.lines[item];
            let amount = amount(*left).clamp(0, *left);
            *left -= amount;
            told(item, amount);
        };
        match self {
            Work::Percent { rate, on } => {
                for item in on {
                    take(*item, &|left| share(left, *rate, mode));
                }
            }
            Work::Fixed { amount, on } => {
                for item in on {
                    let all = amount.saturating_mul(i64::from(items[*item].quantity.get()));
                    take(*item, &|_| all);
                }
            }
            Work::Units { rate, on } => {
                for (item, units) in on {
                    let price = items[*item].unit_price.minor().saturating_mul(i64::from(*units));
                    take(*item, &|_| share(price, *rate, mode));
                }
            }
            Work::Gift { .. } | Work::Order(_) | Work::Shipping(_) => {}
        }
    }

    /// What a gift is worth; nothing else is worth anything before it takes something off.
    pub(super) fn gift_value(&self) -> i128 {
        match self {
            Work::Gift { offer, units } => i128::from(offer.price.minor()) * i128::from(units.get()),
            _ => 0,
        }
    }
}

/// Why an effect has nothing to work on.
pub(super) enum Idle {
    Nothing,
    /// So many units more, and it would have.
    Units(u32),
    NoShipping,
    NoGift,
}

/// Finds what an effect works on.
pub(super) fn work<'a>(
    effect: &Effect,
    items: &[Item<'a>],
    gifts: &'a [Offer],
    shipping: Option<Money>,
) -> Result<Work<'a>, Idle> {
    let work = match effect {
        Effect::OrderPercent { rate } => Work::Order(Cut::Percent(*rate)),
        Effect::OrderFixed { amount } => Work::Order(Cut::Fixed(amount.minor())),
        Effect::ShippingPercent { rate } => Work::Shipping(Cut::Percent(*rate)),
        Effect::ShippingFixed { amount } => Work::Shipping(Cut::Fixed(amount.minor())),
        Effect::FreeShipping => Work::Shipping(Cut::All),
        Effect::LinePercent { rate, goods } => Work::Percent { rate: *rate, on: covered(goods, items) },
        Effect::LineFixed { amount, goods } => Work::Fixed { amount: amount.minor(), on: covered(goods, items) },
        Effect::BuyGet { buy, buy_units, get, get_units, rate, times_max } => {
            let deal = Deal { buy: *buy_units, get: *get_units, times_max: *times_max };
            Work::Units { rate: *rate, on: deal.units(&covered(buy, items), &covered(get, items), items)? }
        }
        Effect::Gift { sku, units } => {
            let offer = gifts.iter().find(|it| it.sku == *sku).ok_or(Idle::NoGift)?;
            Work::Gift { offer, units: *units }
        }
    };
    match &work {
        Work::Shipping(_) if shipping.is_none() => Err(Idle::NoShipping),
        Work::Percent { on, .. } | Work::Fixed { on, .. } if on.is_empty() => Err(Idle::Nothing),
        _ => Ok(work),
    }
}

/// The items that a selection names, by rising place. Items stand by SKU, so a short list of SKUs is looked up.
pub(super) fn covered(goods: &Goods, items: &[Item<'_>]) -> Vec<usize> {
    if goods.categories.is_empty() && !goods.skus.is_empty() && goods.skus.len() < items.len() {
        let find = |sku| items.binary_search_by(|it| it.offer.sku.cmp(sku)).ok();
        return goods.skus.iter().filter_map(find).collect();
    }
    (0..items.len()).filter(|it| goods.covers(items[*it].offer)).collect()
}

/// So many bought, so many more for less.
struct Deal {
    buy: u32,
    get: u32,
    times_max: Option<u32>,
}

impl Deal {
    /// The cheapest units that may be had for less, so that enough others are bought, as often as it fits. Units
    /// that are both kinds are bought or had, never both. Of equal prices the smaller SKU goes first.
    fn units(&self, buy: &[usize], get: &[usize], items: &[Item<'_>]) -> Result<Vec<(usize, u32)>, Idle> {
        let is_both = |item: &usize| buy.binary_search(item).is_ok();
        let count =
            |of: &mut dyn Iterator<Item = &usize>| -> u64 { of.map(|it| u64::from(items[*it].quantity.get())).sum() };
        let both = count(&mut get.iter().filter(|it| is_both(it)));
        let only_get = count(&mut get.iter()) - both;
        let only_buy = count(&mut buy.iter()) - both;
        // Units of both kinds that the buying, and the getting, need beyond their own.
        let buying = |times: u64| (times * u64::from(self.buy)).saturating_sub(only_buy);
        let getting = |times: u64| (times * u64::from(self.get)).saturating_sub(only_get);
        let fits = |times: u64| buying(times) + getting(times) <= both;
        if !fits(1) {
            return Err(Idle::Units(u32::try_from(buying(1) + getting(1) - both).unwrap_or(u32::MAX)));
        }
        let (mut times, mut too_often) = (1, only_buy + both + 1);
        while times + 1 < too_often {
            let middle = u64::midpoint(times, too_often);
            if fits(middle) { times = middle } else { too_often = middle }
        }
        let times = times.min(self.times_max.map_or(u64::MAX, u64::from));
        let mut wanted = times * u64::from(self.get);
        let mut both_free = both - buying(times);
        let mut cheapest: Vec<usize> = get.to_vec();
        cheapest.sort_by_key(|it| (items[*it].unit_price.minor(), *it));
        let mut units = Vec::new();
        for item in cheapest {
            let mut take = wanted.min(u64::from(items[item].quantity.get()));
            if is_both(&item) {
                take = take.min(both_free);
                both_free -= take;
            }
            wanted -= take;
            if take > 0 {
                units.push((item, u32::try_from(take).unwrap_or(u32::MAX)));
            }
        }
        Ok(units)
    }
}
