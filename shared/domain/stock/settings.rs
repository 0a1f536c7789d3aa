//! How a store keeps stock: where, which place serves first, and what becomes of an order whose units were
//! lost after it was paid.
use super::{Allocation, LOCATIONS_MAX, Location};

/// Which location serves first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The lowest `priority`.
    #[default]
    Priority,
    /// The one with the most units to sell.
    MostStock,
}

impl Rule {
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Priority => "priority",
            Rule::MostStock => "most_stock",
        }
    }

    pub fn parse(name: &str) -> Option<Rule> {
        [Rule::Priority, Rule::MostStock].into_iter().find(|it| it.name() == name)
    }
}

/// What becomes of a paid order whose units are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shortfall {
    /// The money goes back.
    #[default]
    Refund,
    /// The units are promised all the same and ship when they come.
    Backorder,
    /// Staff decide.
    Hold,
}

impl Shortfall {
    pub const fn name(self) -> &'static str {
        match self {
            Shortfall::Refund => "refund",
            Shortfall::Backorder => "backorder",
            Shortfall::Hold => "hold",
        }
    }

    pub fn parse(name: &str) -> Option<Shortfall> {
        [Shortfall::Refund, Shortfall::Backorder, Shortfall::Hold].into_iter().find(|it| it.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockLocation {
    pub name: Location,
    /// Lower serves first; equal ones in the order of the settings.
    pub priority: u32,
    /// Whether buyers may fetch goods here.
    pub pickup: bool,
    pub title: String,
}

/// When an inventory feed is applied without asking a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCaution {
    /// Most rows in a hundred that may differ by more than is usual, or be unreadable.
    pub large_percent: u32,
    /// Most rows in a hundred that may leave a shelf empty.
    pub zeroed_percent: u32,
    /// A difference up to so many units, or so many in a hundred of what is there, is usual.
    pub usual_units: u32,
    pub usual_percent: u32,
}

impl Default for FeedCaution {
    fn default() -> FeedCaution {
        FeedCaution { large_percent: 20, zeroed_percent: 10, usual_units: 5, usual_percent: 20 }
    }
}

impl FeedCaution {
    /// # Errors
    /// `Percent`: of a hundred rows at most a hundred can do anything.
    pub fn check(self) -> Result<(), StockSettingsFault> {
        let shares = [self.large_percent, self.zeroed_percent];
        if shares.iter().all(|it| *it <= 100) { Ok(()) } else { Err(StockSettingsFault::Percent) }
    }

    /// Whether a feed that says `to` where there are `from` differs more than is usual.
    pub fn is_large(self, from: i64, to: i64) -> bool {
        let [from, to] = [from, to].map(i128::from);
        let usual = i128::from(self.usual_units).max(from.abs() * i128::from(self.usual_percent) / 100);
        (to - from).abs() > usual
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockSettings {
    /// 1 to [`LOCATIONS_MAX`], no name twice.
    pub locations: Vec<StockLocation>,
    pub allocation: Rule,
    pub shortfall: Shortfall,
    pub feed: FeedCaution,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockSettingsFault {
    #[error("a store has 1 to {LOCATIONS_MAX} locations")]
    Count,
    #[error("the location `{0}` stands twice")]
    Twice(Location),
    #[error("largePercent and zeroedPercent are 0 to 100")]
    Percent,
}

impl Default for StockSettings {
    fn default() -> StockSettings {
        let main = StockLocation { name: Location::main(), priority: 0, pickup: false, title: "Main".to_owned() };
        StockSettings {
            locations: vec![main],
            allocation: Rule::default(),
            shortfall: Shortfall::default(),
            feed: FeedCaution::default(),
        }
    }
}

impl StockSettings {
    /// # Errors
    /// [`StockSettingsFault`].
    pub fn check(&self) -> Result<(), StockSettingsFault> {
        if !(1..=LOCATIONS_MAX).contains(&self.locations.len()) {
            return Err(StockSettingsFault::Count);
        }
        self.feed.check()?;
        let mut names: Vec<_> = self.locations.iter().map(|it| &it.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(StockSettingsFault::Twice(pair[0].clone())),
            None => Ok(()),
        }
    }

    pub fn has(&self, location: &Location) -> bool {
        self.locations.iter().any(|it| it.name == *location)
    }

    /// For goods that are sent: every location, in the order of priority.
    pub fn delivery(&self) -> Allocation {
        let mut locations: Vec<_> = self.locations.iter().collect();
        locations.sort_by_key(|it| it.priority);
        Allocation::new(self.allocation, locations.into_iter().map(|it| it.name.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_each_place_once_and_order_them() {
        let at = |name: &str, priority, pickup| StockLocation {
            name: Location::parse(name).unwrap(),
            priority,
            pickup,
            title: name.to_owned(),
        };
        let mut settings =
            StockSettings { locations: vec![at("far", 2, false), at("near", 1, true)], ..StockSettings::default() };
        settings.check().unwrap();
        let order = ["near", "far"].map(|it| Location::parse(it).unwrap()).to_vec();
        assert_eq!(settings.delivery(), Allocation::new(Rule::Priority, order.clone()));
        settings.locations.push(at("far", 3, false));
        assert_eq!(settings.check(), Err(StockSettingsFault::Twice(order[1].clone())));
        settings.locations.clear();
        assert_eq!(settings.check(), Err(StockSettingsFault::Count));
    }

    #[test]
    fn a_difference_is_large_beyond_both_bounds() {
        let caution = FeedCaution::default();
        for (from, to, large) in [(0, 5, false), (0, 6, true), (100, 120, false), (100, 79, true), (3, 0, false)] {
            assert_eq!(caution.is_large(from, to), large, "{from} to {to}");
        }
        assert!(caution.is_large(i64::MIN, i64::MAX) && !caution.is_large(i64::MAX, i64::MAX));
        let anything = FeedCaution { usual_percent: u32::MAX, ..caution };
        assert!(!anything.is_large(1_000_000, 0));
        let all = FeedCaution { large_percent: 101, ..caution };
        let settings = StockSettings { feed: all, ..StockSettings::default() };
        assert_eq!(settings.check(), Err(StockSettingsFault::Percent));
    }
}
