//! Price lists: other prices than the catalogue's, for some customers, for some time, or from some quantity.
//!
//! Which price holds is decided by data alone and told with the price ([`PriceSource`]): of the lists that
//! fit the moment, the customer and the currency and that have the SKU at this quantity, the most specific
//! wins (one for customer groups before one for everybody, then one with dates before one without), then the
//! higher priority, then the lower price, then the smaller id. A list that wins replaces the catalogue's
//! price, even where it is higher.
use std::{cmp::Reverse, collections::BTreeMap, fmt};

use time::OffsetDateTime;

use crate::{
    money::{Currency, Money},
    sku::Sku,
};

/// Longest id of a price list, in characters.
pub const PRICE_LIST_ID_MAX: usize = 64;
/// Prices in one list; keeps its document far under the store's item limit.
pub const PRICES_MAX: usize = 5_000;
/// Quantity tiers of one SKU in one list.
pub const TIERS_MAX: usize = 10;
/// Customer groups that one list is for.
pub const GROUPS_MAX: usize = 20;

/// 1 to 64 of `a-z0-9-`, chosen by staff.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PriceListId(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceListError {
    #[error("an id is 1 to {PRICE_LIST_ID_MAX} of the characters a-z 0-9 -")]
    BadId,
    #[error("a price list has at most {PRICES_MAX} SKUs")]
    TooManyPrices,
    #[error("a price list is for at most {GROUPS_MAX} customer groups")]
    TooManyGroups,
    #[error("{sku} needs 1 to {TIERS_MAX} tiers, each from more units than the one before")]
    BadTiers { sku: Sku },
    #[error("the price of {sku} must not be negative and must be in the list's currency")]
    BadPrice { sku: Sku },
    #[error("a price list must end after it begins")]
    BadDates,
}

impl PriceListId {
    /// # Errors
    /// `BadId`.
    pub fn parse(text: &str) -> Result<PriceListId, PriceListError> {
        if plain_id(text, PRICE_LIST_ID_MAX) { Ok(PriceListId(text.to_owned())) } else { Err(PriceListError::BadId) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PriceListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is 1 to `max` of `a-z0-9-`.
pub(crate) fn plain_id(text: &str, max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=max).contains(&text.len()) && text.bytes().all(plain)
}

/// The price of one unit when at least this many of the SKU are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    pub from_units: u32,
    pub price: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    pub id: PriceListId,
    pub title: String,
    pub currency: Currency,
    /// Customers of any of these; empty for everybody.
    pub groups: Vec<String>,
    /// The first moment; `None` for always.
    pub from: Option<OffsetDateTime>,
    /// The first moment after; `None` for no end.
    pub until: Option<OffsetDateTime>,
    /// The higher wins between lists that are as specific.
    pub priority: i32,
    /// Tiers by rising `from_units`. The smallest need not be 1: below it this list has no price.
    pub prices: BTreeMap<Sku, Vec<Tier>>,
}

/// Where a line's price comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceSource {
    Catalogue,
    List {
        id: PriceListId,
        /// `from_units` of the tier.
        tier: u32,
    },
}

impl PriceList {
    /// What must hold between the parts.
    ///
    /// # Errors
    /// [`PriceListError`].
    pub fn check(&self) -> Result<(), PriceListError> {
        if self.prices.len() > PRICES_MAX {
            return Err(PriceListError::TooManyPrices);
        }
        if self.groups.len() > GROUPS_MAX {
            return Err(PriceListError::TooManyGroups);
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && from >= until
        {
            return Err(PriceListError::BadDates);
        }
        for (sku, tiers) in &self.prices {
            let rising = tiers.windows(2).all(|pair| pair[0].from_units < pair[1].from_units);
            let whole = (1..=TIERS_MAX).contains(&tiers.len()) && tiers.iter().all(|it| it.from_units > 0);
            if !rising || !whole {
                return Err(PriceListError::BadTiers { sku: sku.clone() });
            }
            if tiers.iter().any(|it| it.price.minor() < 0 || it.price.currency() != self.currency) {
                return Err(PriceListError::BadPrice { sku: sku.clone() });
            }
        }
        Ok(())
    }

    /// Whether it is in force for a customer of these groups, in this currency, now.
    pub fn applies(&self, currency: Currency, groups: &[String], now: OffsetDateTime) -> bool {
        self.currency == currency
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
            && (self.groups.is_empty() || self.groups.iter().any(|it| groups.contains(it)))
    }

    /// The tier for this many units of a SKU.
    pub fn tier(&self, sku: &Sku, units: u32) -> Option<Tier> {
        self.prices.get(sku)?.iter().rev().find(|it| it.from_units <= units).copied()
    }

    /// Groups outweigh dates.
    fn specific(&self) -> u8 {
        let dated = self.from.is_some() || self.until.is_some();
        2 * u8::from(!self.groups.is_empty()) + u8::from(dated)
    }
}

/// The list whose price holds for this many units of a SKU, of lists that all [apply](PriceList::applies).
pub fn winner<'a>(lists: &[&'a PriceList], sku: &Sku, units: u32) -> Option<(&'a PriceList, Tier)> {
    let candidates = lists.iter().filter_map(|list| Some((*list, list.tier(sku, units)?)));
    candidates
        .min_by_key(|(list, tier)| (Reverse(list.specific()), Reverse(list.priority), tier.price.minor(), &list.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::parse("GBP").unwrap())
    }

    fn list(id: &str, price: i64) -> PriceList {
        let tiers = vec![Tier { from_units: 1, price: gbp(price) }, Tier { from_units: 10, price: gbp(price - 10) }];
        PriceList {
            id: PriceListId::parse(id).unwrap(),
            title: id.to_owned(),
            currency: gbp(0).currency(),
            groups: Vec::new(),
            from: None,
            until: None,
            priority: 0,
            prices: [(Sku::parse("A").unwrap(), tiers)].into(),
        }
    }

    fn wins(lists: &[PriceList], units: u32) -> (String, i64) {
        let sku = Sku::parse("A").unwrap();
        let forward: Vec<&PriceList> = lists.iter().collect();
        let backward: Vec<&PriceList> = lists.iter().rev().collect();
        let found = winner(&forward, &sku, units).unwrap();
        assert_eq!(winner(&backward, &sku, units).unwrap(), found, "the order of lists must not matter");
        (found.0.id.to_string(), found.1.price.minor())
    }

    #[test]
    fn the_most_specific_then_priority_then_lowest_then_id_wins() {
        let everybody = list("everybody", 100);
        let dated = PriceList { from: Some(datetime!(2026-01-01 0:00 UTC)), ..list("dated", 200) };
        let trade = PriceList { groups: vec!["trade".to_owned()], ..list("trade", 300) };
        assert_eq!(wins(&[everybody.clone(), dated.clone(), trade.clone()], 1), ("trade".to_owned(), 300));
        assert_eq!(wins(&[everybody.clone(), dated], 1), ("dated".to_owned(), 200));
        let urgent = PriceList { priority: 1, ..list("urgent", 400) };
        assert_eq!(wins(&[everybody.clone(), urgent], 1), ("urgent".to_owned(), 400));
        assert_eq!(wins(&[everybody.clone(), list("lower", 99)], 1), ("lower".to_owned(), 99));
        assert_eq!(wins(&[everybody.clone(), list("also", 100)], 1), ("also".to_owned(), 100));
        assert_eq!(wins(std::slice::from_ref(&everybody), 9), ("everybody".to_owned(), 100));
        assert_eq!(wins(&[everybody], 10), ("everybody".to_owned(), 90));
    }

    #[test]
    fn a_list_applies_from_its_first_moment_until_its_last() {
        let (from, until) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC));
        let sale = PriceList { from: Some(from), until: Some(until), groups: vec!["vip".to_owned()], ..list("s", 50) };
        let vip = ["vip".to_owned()];
        let applies = |groups: &[String], now| sale.applies(gbp(0).currency(), groups, now);
        assert!(applies(&vip, from) && !applies(&vip, from - time::Duration::NANOSECOND));
        assert!(applies(&vip, until - time::Duration::NANOSECOND) && !applies(&vip, until));
        assert!(!applies(&[], from) && !applies(&["VIP".to_owned()], from));
        assert!(!sale.applies(Currency::parse("EUR").unwrap(), &vip, from));
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused() {
        let sku = Sku::parse("A").unwrap();
        let with = |tiers: Vec<(u32, i64)>| {
            let tiers = tiers.into_iter().map(|(from_units, price)| Tier { from_units, price: gbp(price) }).collect();
            PriceList { prices: [(sku.clone(), tiers)].into(), ..list("x", 50) }.check()
        };
        assert_eq!(with(vec![(1, 5), (2, 4)]), Ok(()));
        for bad in [vec![], vec![(0, 5)], vec![(2, 5), (2, 4)], vec![(2, 5), (1, 4)]] {
            assert_eq!(with(bad), Err(PriceListError::BadTiers { sku: sku.clone() }));
        }
        assert_eq!(with(vec![(1, -1)]), Err(PriceListError::BadPrice { sku: sku.clone() }));
        let euros = PriceList { currency: Currency::parse("EUR").unwrap(), ..list("x", 50) };
        assert_eq!(euros.check(), Err(PriceListError::BadPrice { sku }));
        let at = Some(datetime!(2026-01-01 0:00 UTC));
        assert_eq!(PriceList { from: at, until: at, ..list("x", 50) }.check(), Err(PriceListError::BadDates));
        for bad in ["", "A", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(PriceListId::parse(bad), Err(PriceListError::BadId), "{bad}");
        }
    }
}
