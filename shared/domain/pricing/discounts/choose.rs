//! The legal set of promotions that saves most, found exactly and not by trying all sets.
//!
//! A set is legal if any two of it combine: each allows the other's class. So a legal set that uses certain
//! classes consists, in each of them, of promotions that allow all the others; and of one class either a
//! single one that does not allow its own class, or of any that do. What a promotion leaves over never
//! rises by adding another one, and never falls by leaving more before it: so of those that do, all are taken.
//! That leaves, for each of the eight choices of classes, one option per promotion that stands alone in its
//! class and one for all that share. Shipping is worth the same whatever the goods cost, and an order
//! discount depends only on what the product class left in all, so options of two classes are compared by
//! pairs. For `n` promotions and `l` lines: at most `n + 4` passes over the lines, and `2 n^2 / 4` pairs.
//!
//! Between sets that save the same, the one whose promotions come first by priority, then by id, is taken,
//! class after class; so the answer depends on nothing but the promotions and the basket.
use super::{
    super::basket::Item,
    effect::{Left, Work},
    eligible::Candidate,
};
use crate::{
    money::{Money, MoneyError},
    promotion::Class,
    rounding::RoundingMode,
};

/// One way to use a class: some of its candidates, in the order of their application.
#[derive(Clone, Debug, Default)]
struct OneWay {
    members: Vec<usize>,
    /// What is saved, gifts at their price.
    saved: i128,
    /// What the goods cost after it; for the product class.
    goods: i64,
}

/// The indices of the chosen candidates, in the order of application: by class, then as the candidates stand.
pub(super) fn best(
    candidates: &[Candidate<'_>],
    items: &[Item<'_>],
    shipping: Option<Money>,
    mode: RoundingMode,
) -> Result<Vec<usize>, MoneyError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let search = Search::new(candidates, items, shipping, mode);
    let mut best: Option<(i128, Vec<usize>)> = None;
    let mut seen: Vec<OneWay> = Vec::new();
    for used in 0..8_u8 {
        if let Some((saved, members)) = search.best_of(Used(used), &mut seen) {
            let better = best
                .as_ref()
                .is_none_or(|(most, chosen)| saved > *most || (saved == *most && search.before(&members, chosen)));
            if better {
                best = Some((saved, members));
            }
        }
    }
    Ok(best.map(|it| it.1).unwrap_or_default())
}

/// A choice of classes.
#[derive(Clone, Copy)]
struct Used(u8);

impl Used {
    fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }
}

struct Search<'s, 'a> {
    candidates: &'s [Candidate<'a>],
    items: &'s [Item<'a>],
    start: Left,
    mode: RoundingMode,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(
        candidates: &'s [Candidate<'a>],
        items: &'s [Item<'a>],
        shipping: Option<Money>,
        mode: RoundingMode,
    ) -> Search<'s, 'a> {
        Search { candidates, items, start: Left::of(items, shipping), mode }
    }

    /// What product candidates do, one after the other.
    fn on_goods(&self, members: Vec<usize>) -> OneWay {
        let before = self.start.goods();
        let mut left = self.start.clone();
        let mut gifts = 0;
        for work in members.iter().map(|it| &self.candidates[*it].work) {
            work.take_quietly(&mut left, self.items, self.mode);
            gifts += work.gift_value();
        }
        let goods = left.goods();
        OneWay { members, saved: gifts + i128::from(before) - i128::from(goods), goods }
    }

    /// The ways to use a class beside the others of `used`.
    fn ways(&self, class: Class, used: Used) -> Vec<Vec<usize>> {
        let fits = |it: &usize| {
            let promotion = self.candidates[*it].promotion;
            let allows = |other: Class| other == class || !used.has(other) || promotion.combines_with.allows(other);
            promotion.class() == class && Class::ALL.into_iter().all(allows)
        };
        let (sharing, alone): (Vec<usize>, Vec<usize>) = (0..self.candidates.len())
            .filter(fits)
            .partition(|it| self.candidates[*it].promotion.combines_with.allows(class));
        let mut ways: Vec<Vec<usize>> = alone.into_iter().map(|it| vec![it]).collect();
        if !sharing.is_empty() {
            ways.push(sharing);
        }
        ways
    }

    /// What order or shipping candidates take off an amount, one after the other.
    fn off(&self, members: &[usize], amount: i64) -> i64 {
        members.iter().fold(0, |taken, it| match &self.candidates[*it].work {
            Work::Order(cut) | Work::Shipping(cut) => taken + cut.of(amount - taken, self.mode),
            _ => taken,
        })
    }

    /// The best set that uses exactly these classes; `seen` are ways to use the product class found before.
    fn best_of(&self, used: Used, seen: &mut Vec<OneWay>) -> Option<(i128, Vec<usize>)> {
        let product = if used.has(Class::Product) {
            let ways = self.ways(Class::Product, used);
            ways.into_iter().map(|it| self.product_way(it, seen)).collect()
        } else {
            vec![OneWay { goods: self.start.goods(), ..OneWay::default() }]
        };
        let none = || vec![Vec::new()];
        let order = if used.has(Class::Order) { self.ways(Class::Order, used) } else { none() };
        let shipping = if used.has(Class::Shipping) { self.ways(Class::Shipping, used) } else { none() };
        let saved = |it: &[usize]| i128::from(self.off(it, self.start.shipping));
        let shipping = self.first_best(shipping.iter().map(|it| (saved(it), [it.as_slice(), &[], &[]])))?;
        let pairs = product.iter().flat_map(|goods| {
            order.iter().map(move |order| {
                let saved = goods.saved + i128::from(self.off(order, goods.goods));
                (saved, [goods.members.as_slice(), order.as_slice(), &[]])
            })
        });
        let (saved, [goods, order, _]) = self.first_best(pairs)?;
        let members = [goods, order, shipping.1[0]].concat();
        Some((saved + shipping.0, members))
    }

    /// Other classes seldom change which promotions share the product class, so what was found is kept.
    fn product_way(&self, members: Vec<usize>, seen: &mut Vec<OneWay>) -> OneWay {
        if let Some(way) = seen.iter().find(|it| it.members == members) {
            return way.clone();
        }
        let way = self.on_goods(members);
        seen.push(way.clone());
        way
    }

    fn first_best<'m>(&self, sets: impl Iterator<Item = (i128, [&'m [usize]; 3])>) -> Option<(i128, [&'m [usize]; 3])> {
        let mut best: Option<(i128, [&'m [usize]; 3])> = None;
        for (saved, set) in sets {
            let better = best.is_none_or(|(most, chosen)| {
                saved > most || (saved == most && self.before(&set.concat(), &chosen.concat()))
            });
            if better {
                best = Some((saved, set));
            }
        }
        best
    }

    /// Which of two sets that save the same is taken. Candidates stand by priority and id, so comparing
    /// places compares those; of two sets that begin alike the longer one, for it may give more.
    fn before(&self, set: &[usize], other: &[usize]) -> bool {
        let mut pairs = set.iter().zip(other);
        let differ = pairs.find(|(one, other)| one != other);
        differ.map_or(set.len() > other.len(), |(one, other)| one < other)
    }
}
