//! Stock of one SKU over several locations, and the holds on it.
//!
//! A hold lives in the expiry wheel of its locations (units per expiry minute) and in a record of its own.
//! Past minutes count for nothing, so a hold lapses without any job; the counter restores itself. Only
//! `claim` makes a hold permanent. Never oversold: every change starts from the levels as stored and is
//! written only if those are still the levels.
mod allocation;
mod ledger;
mod level;
mod levels;
mod settings;
pub mod sources;
#[cfg(test)]
mod tests;

use std::fmt;

use time::{Duration, OffsetDateTime};

pub use allocation::Allocation;
pub use ledger::{Change, Entry, Kind, StockFault, Waiting, check_i1, waiting};
pub use level::Level;
pub use levels::{Count, Levels, Want};
pub use settings::{FeedCaution, Rule, Shortfall, StockLocation, StockSettings, StockSettingsFault};

use crate::ids::CheckoutId;

/// How far two instances' clocks may differ: a hold counts for this long after its end.
pub const CLOCK_SKEW: Duration = Duration::seconds(2);

/// Most units at one place; far above any shop's, far below what arithmetic can hold.
pub const ON_HAND_MAX: i64 = 1_000_000_000;

/// Locations of one store; the levels of a SKU are one document.
pub const LOCATIONS_MAX: usize = 50;

/// Longest name of a location, in characters.
pub const LOCATION_MAX: usize = 32;

/// Where goods lie: 1 to 32 of `a-z0-9-`, chosen by the staff.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a location is 1 to {LOCATION_MAX} of the characters a-z 0-9 -")]
pub struct BadLocation;

impl Location {
    /// # Errors
    /// [`BadLocation`].
    pub fn parse(text: &str) -> Result<Location, BadLocation> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if (1..=LOCATION_MAX).contains(&text.len()) && plain { Ok(Location(text.to_owned())) } else { Err(BadLocation) }
    }

    /// The one location of a store that has set up none.
    pub fn main() -> Location {
        Location("main".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Units at one location, more than none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub location: Location,
    pub units: i64,
}

/// One checkout's hold on one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub checkout: CheckoutId,
    /// Where the units are, one entry for a location.
    pub parts: Vec<Part>,
    /// Key in the expiry wheel.
    pub minute: i64,
    /// Which run of the checkout placed it; a lower one may not touch it.
    pub fence: u32,
    pub state: HoldState,
}

impl Hold {
    pub fn units(&self) -> i64 {
        units(&self.parts)
    }
}

/// Units of all parts.
pub fn units(parts: &[Part]) -> i64 {
    parts.iter().map(|part| part.units).sum()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    Live,
    /// Counted in `allocated`.
    Claimed,
    Released,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockRefusal {
    #[error("only {available} available")]
    Short { available: i64 },
    #[error("a later run of this checkout owns the hold")]
    Superseded,
    #[error("a number of units is a whole number from 0 to {ON_HAND_MAX}")]
    OutOfRange,
    /// Shipping or giving back what was never promised there: a fault of the caller's books.
    #[error("only {allocated} units are promised to orders at {location}")]
    NotAllocated { location: Location, allocated: i64 },
    #[error("a SKU has stock at {LOCATIONS_MAX} locations at most")]
    TooManyLocations,
}

/// The wheel's key for a hold that ends at `until`: the minute in which it ends, rounded up.
pub fn expiry_minute(until: OffsetDateTime) -> i64 {
    (until.unix_timestamp() + 59).div_euclid(60)
}

/// The first minute whose holds still count.
fn first_live(now: OffsetDateTime) -> i64 {
    (now - CLOCK_SKEW).unix_timestamp().div_euclid(60)
        + i64::from((now - CLOCK_SKEW).unix_timestamp().rem_euclid(60) != 0)
}
