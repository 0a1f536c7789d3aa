//! Units of one SKU at one location. What may be sold is what is here and promised to nobody; a hold
//! counts until its minute is over by any clock.
use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{ON_HAND_MAX, first_live};

/// Units of one SKU at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// On the shelf. Below zero only while updates of another system arrive out of order, or more was
    /// shipped than had been counted.
    pub on_hand: i64,
    /// Promised to placed orders.
    pub allocated: i64,
    /// Kept back.
    pub safety: i64,
    /// How far it may be sold below zero; `None` without end.
    pub backorder_limit: Option<i64>,
    /// Held units by the minute (since the epoch) in which the hold ends.
    pub held: BTreeMap<i64, i64>,
}

impl Default for Level {
    fn default() -> Level {
        Level::new(0)
    }
}

impl Level {
    pub fn new(on_hand: i64) -> Level {
        Level { on_hand, allocated: 0, safety: 0, backorder_limit: Some(0), held: BTreeMap::new() }
    }

    /// Units under live holds.
    pub fn live_holds(&self, now: OffsetDateTime) -> i64 {
        self.held.range(first_live(now)..).map(|(_, units)| units).sum()
    }

    /// What lies here and may be sold; negative while more is promised than there is.
    pub fn in_stock(&self, now: OffsetDateTime) -> i64 {
        self.on_hand - self.allocated - self.live_holds(now) - self.safety
    }

    /// What may be sold now, backorders included; may be negative after a stocktake.
    pub fn available(&self, now: OffsetDateTime) -> i64 {
        self.in_stock(now) + self.backorder_limit.unwrap_or(ON_HAND_MAX)
    }

    /// Whether the units are still kept for a hold. Whoever gives units away prunes what has lapsed by
    /// their own clock, so a hold that is missing here may have been sold, whatever our clock says.
    pub(super) fn keeps(&self, minute: i64, units: i64, now: OffsetDateTime) -> bool {
        minute >= first_live(now) && self.held.get(&minute).is_some_and(|held| *held >= units)
    }

    pub(super) fn put_on_wheel(&mut self, minute: i64, units: i64) {
        *self.held.entry(minute).or_default() += units;
    }

    /// A minute that was pruned has nothing to take.
    pub(super) fn take_off_wheel(&mut self, minute: i64, units: i64) {
        if let Some(held) = self.held.get_mut(&minute) {
            *held -= units;
            if *held <= 0 {
                self.held.remove(&minute);
            }
        }
    }

    pub(super) fn prune(&mut self, now: OffsetDateTime) {
        self.held = self.held.split_off(&first_live(now));
    }
}
