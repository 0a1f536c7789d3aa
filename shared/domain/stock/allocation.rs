//! From which locations an order is served: from one if one can, else from as few as possible, and among
//! those from the first by the store's rule. What lies there goes before what is sold below zero.
use std::sync::Arc;

use time::OffsetDateTime;

use super::{Levels, Location, Part, Rule, StockRefusal};

/// Which locations may serve, and in which order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    rule: Rule,
    locations: Arc<[Location]>,
    /// Whether more may be promised than may be sold.
    beyond: bool,
}

impl Default for Allocation {
    fn default() -> Allocation {
        Allocation::only(Location::main())
    }
}

impl Allocation {
    /// `locations` in the order of their priority.
    pub fn new(rule: Rule, locations: Vec<Location>) -> Allocation {
        Allocation { rule, locations: locations.into(), beyond: false }
    }

    /// Everything from this one place, as for goods that the buyer fetches there.
    pub fn only(location: Location) -> Allocation {
        Allocation { rule: Rule::Priority, locations: Arc::new([location]), beyond: false }
    }

    /// The same, and what cannot be sold anywhere is promised at the first location all the same: for an
    /// order that is paid and waits for goods ([`super::Shortfall::Backorder`]).
    #[must_use]
    pub fn beyond_limits(self) -> Allocation {
        Allocation { beyond: true, ..self }
    }

    pub const fn is_beyond_limits(&self) -> bool {
        self.beyond
    }

    /// Units that these locations could sell now.
    pub fn available(&self, levels: &Levels, now: OffsetDateTime) -> i64 {
        let levels = self.locations.iter().filter_map(|it| levels.by_location.get(it));
        levels.map(|level| level.available(now).max(0)).sum()
    }

    fn at_first(&self, units: i64) -> Option<Vec<Part>> {
        let first = self.locations.first().filter(|_| self.beyond)?;
        Some(vec![Part { location: first.clone(), units }])
    }

    /// Where to take `units` from.
    ///
    /// # Errors
    /// `Short`, with what there is in all.
    pub(super) fn choose(&self, levels: &Levels, units: i64, now: OffsetDateTime) -> Result<Vec<Part>, StockRefusal> {
        let mut stock = Vec::with_capacity(self.locations.len());
        for location in self.locations.iter() {
            if let Some(level) = levels.by_location.get(location) {
                stock.push((location, level.in_stock(now), level.available(now)));
            }
        }
        if self.rule == Rule::MostStock {
            stock.sort_by_key(|(_, in_stock, _)| std::cmp::Reverse(*in_stock));
        }
        let here: Vec<_> = stock.iter().map(|(location, in_stock, _)| (*location, *in_stock)).collect();
        let all: Vec<_> = stock.iter().map(|(location, _, available)| (*location, *available)).collect();
        fewest(&here, units)
            .or_else(|| fewest(&all, units))
            .or_else(|| self.at_first(units))
            .ok_or_else(|| StockRefusal::Short { available: self.available(levels, now) })
    }
}

/// The first set of locations, by their order, among the smallest that have `units` together.
fn fewest(free: &[(&Location, i64)], units: i64) -> Option<Vec<Part>> {
    let free: Vec<_> = free.iter().filter(|(_, free)| *free > 0).collect();
    let largest = |of: &[&(&Location, i64)], count: usize| {
        let mut sizes: Vec<i64> = of.iter().map(|(_, free)| *free).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.iter().take(count).sum::<i64>()
    };
    let count = (1..=free.len()).find(|count| largest(&free, *count) >= units)?;
    let (mut parts, mut missing) = (Vec::with_capacity(count), units);
    for (at, (location, here)) in free.iter().enumerate() {
        let places = count - parts.len();
        if places == 0 {
            break;
        }
        // Taken if the places that are left can still make up the rest.
        if missing - here <= largest(free.get(at + 1..).unwrap_or_default(), places - 1) {
            let units = missing.min(*here);
            parts.push(Part { location: (*location).clone(), units });
            missing -= units;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{Level, units};
    use proptest::prelude::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00:00 UTC);

    fn at(name: &str) -> Location {
        Location::parse(name).unwrap()
    }

    fn levels(stock: &[(&str, i64, Option<i64>)]) -> Levels {
        let level = |on_hand, backorder_limit| Level { backorder_limit, ..Level::new(on_hand) };
        let by_location = stock.iter().map(|(name, on_hand, limit)| (at(name), level(*on_hand, *limit))).collect();
        Levels { by_location, seq: 0 }
    }

    fn chosen(rule: Rule, order: &[&str], stock: &[(&str, i64, Option<i64>)], units: i64) -> Vec<(String, i64)> {
        let allocation = Allocation::new(rule, order.iter().map(|it| at(it)).collect());
        let parts = allocation.choose(&levels(stock), units, NOW).unwrap();
        parts.into_iter().map(|part| (part.location.to_string(), part.units)).collect()
    }

    #[test]
    fn one_place_serves_if_one_can_and_else_as_few_as_possible() {
        let stock = [("a", 2, Some(0)), ("b", 3, Some(0)), ("c", 5, Some(0))];
        let priority = |units| chosen(Rule::Priority, &["a", "b", "c"], &stock, units);
        assert_eq!(priority(2), [("a".to_owned(), 2)]);
        assert_eq!(priority(3), [("b".to_owned(), 3)]);
        assert_eq!(priority(6), [("a".to_owned(), 2), ("c".to_owned(), 4)]);
        assert_eq!(priority(8), [("b".to_owned(), 3), ("c".to_owned(), 5)]);
        assert_eq!(priority(10), [("a".to_owned(), 2), ("b".to_owned(), 3), ("c".to_owned(), 5)]);
        assert_eq!(chosen(Rule::MostStock, &["a", "b", "c"], &stock, 2), [("c".to_owned(), 2)]);
        let only = Allocation::only(at("a"));
        assert_eq!(only.choose(&levels(&stock), 3, NOW), Err(StockRefusal::Short { available: 2 }));
    }

    #[test]
    fn what_is_there_goes_before_what_is_not() {
        let stock = [("a", 0, None), ("b", 3, Some(0)), ("c", 1, Some(2))];
        let order = ["a", "b", "c"];
        assert_eq!(chosen(Rule::Priority, &order, &stock, 3), [("b".to_owned(), 3)]);
        assert_eq!(chosen(Rule::Priority, &order, &stock, 4), [("b".to_owned(), 3), ("c".to_owned(), 1)]);
        assert_eq!(chosen(Rule::Priority, &order, &stock, 5), [("a".to_owned(), 5)]);
    }

    proptest! {
        #[test]
        fn a_choice_is_whole_affordable_and_smallest(
            stock in proptest::collection::vec(-3_i64..8, 1..6), wanted in 1_i64..20,
        ) {
            let names = ["a", "b", "c", "d", "e"];
            let stock: Vec<_> = names.iter().zip(stock).map(|(name, on_hand)| (*name, on_hand, Some(0))).collect();
            let allocation = Allocation::new(Rule::Priority, stock.iter().map(|it| at(it.0)).collect());
            let sizes: Vec<i64> = stock.iter().map(|it| it.1.max(0)).collect();
            let smallest = (0_u32..1 << sizes.len())
                .filter(|set| (0..sizes.len()).filter(|it| set & (1 << it) != 0).map(|it| sizes[it]).sum::<i64>() >= wanted)
                .map(u32::count_ones)
                .min();
            match allocation.choose(&levels(&stock), wanted, NOW) {
                Ok(parts) => {
                    prop_assert_eq!(units(&parts), wanted);
                    prop_assert_eq!(u32::try_from(parts.len()).ok(), smallest);
                    for part in &parts {
                        let free = stock.iter().find(|it| it.0 == part.location.as_str()).unwrap().1;
                        prop_assert!((1..=free).contains(&part.units));
                    }
                }
                Err(refusal) => {
                    prop_assert_eq!(smallest, None);
                    prop_assert_eq!(refusal, StockRefusal::Short { available: sizes.iter().sum() });
                }
            }
        }
    }
}
