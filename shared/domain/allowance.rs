//! How much of one SKU a customer may buy within some days, over all their purchases. What they have bought is
//! kept as a list, so what is left is derived from it.
use time::{Duration, OffsetDateTime};

use crate::{ids::OrderId, sku::Sku};

/// At most so many units for one customer within so many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerLimit {
    /// 1 to [`CUSTOMER_UNITS_MAX`].
    pub units: u32,
    /// 1 to [`CUSTOMER_DAYS_MAX`].
    pub days: u32,
}

pub const CUSTOMER_UNITS_MAX: u32 = 1_000;
pub const CUSTOMER_DAYS_MAX: u32 = 365;
/// Entries kept for one customer; whoever has so many buys nothing limited until one has lapsed.
pub const BOUGHT_MAX: usize = 4_000;

impl CustomerLimit {
    fn window(self) -> Duration {
        Duration::days(i64::from(self.days))
    }
}

/// Units of a limited SKU that one order of the customer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    pub order: OrderId,
    pub sku: Sku,
    pub units: u32,
    pub at: OffsetDateTime,
    /// From then on it counts for nothing, by the limit that held when it was bought.
    pub until: OffsetDateTime,
}

/// Units of a limited SKU that an order is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub sku: Sku,
    pub units: u32,
    pub limit: CustomerLimit,
}

/// More was wanted than this customer may buy now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub sku: Sku,
    pub quantity: u32,
    /// What they may still buy.
    pub available: u32,
    pub limit: CustomerLimit,
}

impl Wanted {
    /// What is wrong with it for a customer who has bought this; what `own` has bought is not held against it.
    pub fn exceeds(&self, bought: &[Bought], own: OrderId, now: OffsetDateTime) -> Option<Exceeded> {
        let counts = |it: &&Bought| it.sku == self.sku && it.order != own && now - it.at < self.limit.window();
        let taken = bought.iter().filter(counts).fold(0_u32, |sum, it| sum.saturating_add(it.units));
        let available = self.limit.units.saturating_sub(taken);
        let exceeded = Exceeded { sku: self.sku.clone(), quantity: self.units, available, limit: self.limit };
        (self.units > available).then_some(exceeded)
    }
}

/// The list with what this order wants. Entries that count no more are left out.
///
/// # Errors
/// The first that is more than the customer may buy.
pub fn take(
    bought: &[Bought],
    order: OrderId,
    wanted: &[Wanted],
    now: OffsetDateTime,
) -> Result<Vec<Bought>, Box<Exceeded>> {
    let mut after: Vec<Bought> = bought.iter().filter(|it| now < it.until && it.order != order).cloned().collect();
    for it in wanted {
        if let Some(exceeded) = it.exceeds(&after, order, now) {
            return Err(Box::new(exceeded));
        }
        if after.len() >= BOUGHT_MAX {
            let (sku, quantity, limit) = (it.sku.clone(), it.units, it.limit);
            return Err(Box::new(Exceeded { sku, quantity, available: 0, limit }));
        }
        let until = now + it.limit.window();
        after.push(Bought { order, sku: it.sku.clone(), units: it.units, at: now, until });
    }
    Ok(after)
}

/// The list without what this order had.
pub fn give_back(bought: &[Bought], order: OrderId) -> Vec<Bought> {
    bought.iter().filter(|it| it.order != order).cloned().collect()
}

/// The list after parts of the order were cancelled: it has at most what `kept` says of each SKU. Never more than
/// before, so it may be repeated in any order.
pub fn keep(bought: &[Bought], order: OrderId, kept: &[(Sku, u32)]) -> Vec<Bought> {
    let units = |it: &Bought| match kept.iter().find(|(sku, _)| it.order == order && *sku == it.sku) {
        Some((_, kept)) => it.units.min(*kept),
        None => it.units,
    };
    let after = bought.iter().map(|it| Bought { units: units(it), ..it.clone() });
    after.filter(|it| it.units > 0).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use ulid::Ulid;

    use super::*;
    use crate::ids::CartId;

    const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

    fn order(n: u128) -> OrderId {
        CartId::new(Ulid::from_parts(1, n)).checkout().order()
    }

    fn wanted(name: &str, units: u32) -> Wanted {
        Wanted { sku: Sku::parse(name).unwrap(), units, limit: CustomerLimit { units: 3, days: 30 } }
    }

    #[test]
    fn a_customer_buys_so_many_within_so_many_days() {
        let first = take(&[], order(1), &[wanted("A", 2), wanted("B", 3)], NOW).unwrap();
        let refused = take(&first, order(2), &[wanted("A", 2)], NOW).unwrap_err();
        assert_eq!((refused.quantity, refused.available), (2, 1));
        let second = take(&first, order(2), &[wanted("A", 1)], NOW + Duration::days(20)).unwrap();
        assert!(take(&second, order(3), &[wanted("A", 1)], NOW + Duration::days(29)).is_err());
        // The first purchase lapses by itself, to the second; the other one still counts.
        let later = NOW + Duration::days(30);
        assert_eq!(wanted("A", 3).exceeds(&second, order(3), later).unwrap().available, 2);
        let third = take(&second, order(3), &[wanted("A", 2)], later).unwrap();
        assert_eq!(third.iter().map(|it| it.units).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_order_is_not_held_against_itself_and_gives_back_what_it_had() {
        let mine = take(&[], order(1), &[wanted("A", 3)], NOW).unwrap();
        assert_eq!(wanted("A", 3).exceeds(&mine, order(1), NOW), None);
        assert_eq!(take(&mine, order(1), &[wanted("A", 3)], NOW).unwrap(), mine);
        let part = keep(&mine, order(1), &[(Sku::parse("A").unwrap(), 1)]);
        assert_eq!(keep(&part, order(1), &[(Sku::parse("A").unwrap(), 2)]), part, "never more than before");
        assert_eq!(wanted("A", 3).exceeds(&part, order(2), NOW).unwrap().available, 2);
        assert_eq!(keep(&part, order(2), &[(Sku::parse("A").unwrap(), 0)]), part, "another order's");
        assert_eq!(give_back(&part, order(1)), []);
    }

    #[test]
    fn a_limit_that_was_lowered_counts_what_was_bought_before() {
        let mine = take(&[], order(1), &[wanted("A", 3)], NOW).unwrap();
        let lower = Wanted { limit: CustomerLimit { units: 2, days: 7 }, ..wanted("A", 1) };
        assert_eq!(lower.exceeds(&mine, order(2), NOW + Duration::days(6)).unwrap().available, 0);
        assert_eq!(lower.exceeds(&mine, order(2), NOW + Duration::days(7)), None);
    }
}
