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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockSettings {
    /// 1 to [`LOCATIONS_MAX`], no name twice.
    pub locations: Vec<StockLocation>,
    pub allocation: Rule,
    pub shortfall: Shortfall,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockSettingsFault {
    #[error("a store has 1 to {LOCATIONS_MAX} locations")]
    Count,
    #[error("the location `{0}` stands twice")]
    Twice(Location),
}

impl Default for StockSettings {
    fn default() -> StockSettings {
        let main = StockLocation { name: Location::main(), priority: 0, pickup: false, title: "Main".to_owned() };
        StockSettings { locations: vec![main], allocation: Rule::default(), shortfall: Shortfall::default() }
    }
}

impl StockSettings {
    /// # Errors
    /// [`StockSettingsFault`].
    pub fn check(&self) -> Result<(), StockSettingsFault> {
        if !(1..=LOCATIONS_MAX).contains(&self.locations.len()) {
            return Err(StockSettingsFault::Count);
        }
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
}
