//! All locations of one SKU, changed together. Each change is whole or refused, and answers what the ledger
//! must say: movements whose sums are what is on hand and what is promised.
use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{
    Allocation, Change, Hold, HoldState, LOCATIONS_MAX, Level, Location, ON_HAND_MAX, Part, StockRefusal, units,
};
use crate::ids::CheckoutId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub by_location: BTreeMap<Location, Level>,
    /// Counts changes.
    pub seq: i64,
}

/// A hold that a checkout asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    pub checkout: CheckoutId,
    pub units: i64,
    /// Key in the expiry wheel, see [`super::expiry_minute`].
    pub minute: i64,
    pub fence: u32,
}

/// What staff set at one location; `None` leaves a number as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub on_hand: Option<i64>,
    pub safety: Option<i64>,
    /// `Some(None)`: without end.
    pub backorder_limit: Option<Option<i64>>,
}

impl Levels {
    /// One location's stock.
    pub fn at(location: Location, on_hand: i64) -> Levels {
        Levels { by_location: BTreeMap::from([(location, Level::new(on_hand))]), seq: 0 }
    }

    /// Units under live holds, everywhere.
    pub fn live_holds(&self, now: OffsetDateTime) -> i64 {
        self.by_location.values().map(|level| level.live_holds(now)).sum()
    }

    pub fn allocated(&self) -> i64 {
        self.by_location.values().map(|level| level.allocated).sum()
    }

    pub fn on_hand(&self) -> i64 {
        self.by_location.values().map(|level| level.on_hand).sum()
    }

    /// What all locations together may sell now; one that lacks units takes nothing from the others.
    pub fn available(&self, now: OffsetDateTime) -> i64 {
        self.by_location.values().map(|level| level.available(now).max(0)).sum()
    }

    /// Sets what a stocktake found, and how the location sells. Answers what it means for the ledger.
    ///
    /// # Errors
    /// `OutOfRange`, `TooManyLocations`.
    pub fn count(&mut self, location: &Location, count: Count) -> Result<Change, StockRefusal> {
        let limit = count.backorder_limit.flatten();
        let numbers = [count.on_hand, count.safety, limit].into_iter().flatten();
        if numbers.into_iter().any(|units| !(0..=ON_HAND_MAX).contains(&units)) {
            return Err(StockRefusal::OutOfRange);
        }
        let level = self.open(location)?;
        let before = level.on_hand;
        level.on_hand = count.on_hand.unwrap_or(before);
        level.safety = count.safety.unwrap_or(level.safety);
        level.backorder_limit = count.backorder_limit.unwrap_or(level.backorder_limit);
        let on_hand = level.on_hand - before;
        self.seq += 1;
        Ok(Change { location: location.clone(), on_hand, allocated: 0 })
    }

    /// Holds units until `minute` for a checkout. Repeating it, or doing it again with other numbers,
    /// replaces the checkout's earlier hold; what is claimed already stays claimed.
    ///
    /// # Errors
    /// `Short`, `Superseded`.
    pub fn hold(
        &mut self,
        earlier: Option<&Hold>,
        want: Want,
        allocation: &Allocation,
        now: OffsetDateTime,
    ) -> Result<Hold, StockRefusal> {
        let mut next = self.clone();
        if let Some(earlier) = earlier {
            if earlier.fence > want.fence {
                return Err(StockRefusal::Superseded);
            }
            match earlier.state {
                HoldState::Claimed => return Ok(earlier.clone()),
                HoldState::Live => next.take_off_wheel(earlier),
                HoldState::Released => {}
            }
        }
        let Want { checkout, units, minute, fence } = want;
        let parts = allocation.choose(&next, units, now)?;
        next.prune(now);
        for part in &parts {
            next.open(&part.location)?.put_on_wheel(minute, part.units);
        }
        next.seq += 1;
        *self = next;
        Ok(Hold { checkout, parts, minute, fence, state: HoldState::Live })
    }

    /// Gives a hold back, claimed units too: for a checkout that is being undone and can never be placed.
    ///
    /// # Errors
    /// `Superseded`, `NotAllocated`.
    pub fn release(&mut self, hold: &Hold, fence: u32) -> Result<(Hold, Vec<Change>), StockRefusal> {
        if hold.fence > fence {
            return Err(StockRefusal::Superseded);
        }
        let changes = match hold.state {
            HoldState::Live => {
                self.take_off_wheel(hold);
                self.seq += 1;
                Vec::new()
            }
            HoldState::Claimed => self.give_back(&hold.parts)?,
            HoldState::Released => return Ok((hold.clone(), Vec::new())),
        };
        Ok((Hold { state: HoldState::Released, fence, ..hold.clone() }, changes))
    }

    /// Makes a hold permanent. One that has lapsed is tested again, and may be served from elsewhere; one
    /// that is claimed stays so.
    ///
    /// # Errors
    /// `Short`, `Superseded`.
    pub fn claim(
        &mut self,
        hold: &Hold,
        (units, fence): (i64, u32),
        allocation: &Allocation,
        now: OffsetDateTime,
    ) -> Result<(Hold, Vec<Change>), StockRefusal> {
        if hold.fence > fence {
            return Err(StockRefusal::Superseded);
        }
        if hold.state == HoldState::Claimed {
            return Ok((hold.clone(), Vec::new()));
        }
        let mut next = self.clone();
        let kept = hold.state == HoldState::Live && hold.units() == units && next.keeps(hold, now);
        if hold.state == HoldState::Live {
            next.take_off_wheel(hold);
        }
        let parts = if kept { hold.parts.clone() } else { allocation.choose(&next, units, now)? };
        next.prune(now);
        let changes = next.promise(&parts)?;
        *self = next;
        Ok((Hold { parts, state: HoldState::Claimed, fence, ..hold.clone() }, changes))
    }

    fn promise(&mut self, parts: &[Part]) -> Result<Vec<Change>, StockRefusal> {
        self.move_all(parts, 0, 1)
    }

    /// Units left the house: no longer here and no longer promised.
    ///
    /// # Errors
    /// `NotAllocated`.
    pub fn ship(&mut self, parts: &[Part]) -> Result<Vec<Change>, StockRefusal> {
        self.move_all(parts, -1, -1)
    }

    /// Units are no longer promised and may be sold again.
    ///
    /// # Errors
    /// `NotAllocated`.
    pub fn give_back(&mut self, parts: &[Part]) -> Result<Vec<Change>, StockRefusal> {
        self.move_all(parts, 0, -1)
    }

    /// Units came in or came back.
    ///
    /// # Errors
    /// `OutOfRange`, `TooManyLocations`.
    pub fn restock(&mut self, location: &Location, units: i64) -> Result<Vec<Change>, StockRefusal> {
        self.move_all(&[Part { location: location.clone(), units }], 1, 0)
    }

    /// What another system says is on the shelf; may be below zero while its updates arrive out of order.
    ///
    /// # Errors
    /// `OutOfRange`, `TooManyLocations`.
    pub fn set_on_hand(&mut self, location: &Location, on_hand: i64) -> Result<Change, StockRefusal> {
        if !(-ON_HAND_MAX..=ON_HAND_MAX).contains(&on_hand) {
            return Err(StockRefusal::OutOfRange);
        }
        let level = self.open(location)?;
        let change = Change { location: location.clone(), on_hand: on_hand - level.on_hand, allocated: 0 };
        level.on_hand = on_hand;
        self.seq += 1;
        Ok(change)
    }

    fn move_all(&mut self, parts: &[Part], on_hand: i64, allocated: i64) -> Result<Vec<Change>, StockRefusal> {
        let mut next = self.clone();
        let mut changes = Vec::with_capacity(parts.len());
        for Part { location, units } in parts {
            if !(1..=ON_HAND_MAX).contains(units) {
                return Err(StockRefusal::OutOfRange);
            }
            let level = next.open(location)?;
            let change = Change { location: location.clone(), on_hand: on_hand * units, allocated: allocated * units };
            if level.allocated + change.allocated < 0 {
                return Err(StockRefusal::NotAllocated { location: location.clone(), allocated: level.allocated });
            }
            level.on_hand += change.on_hand;
            level.allocated += change.allocated;
            if level.on_hand.abs() > ON_HAND_MAX || level.allocated > ON_HAND_MAX {
                return Err(StockRefusal::OutOfRange);
            }
            changes.push(change);
        }
        next.seq += 1;
        *self = next;
        Ok(changes)
    }

    /// The level of a location, from now on if it had none.
    fn open(&mut self, location: &Location) -> Result<&mut Level, StockRefusal> {
        if !self.by_location.contains_key(location) && self.by_location.len() >= LOCATIONS_MAX {
            return Err(StockRefusal::TooManyLocations);
        }
        Ok(self.by_location.entry(location.clone()).or_default())
    }

    fn keeps(&self, hold: &Hold, now: OffsetDateTime) -> bool {
        let kept = |part: &Part| {
            self.by_location.get(&part.location).is_some_and(|level| level.keeps(hold.minute, part.units, now))
        };
        units(&hold.parts) > 0 && hold.parts.iter().all(kept)
    }

    fn take_off_wheel(&mut self, hold: &Hold) {
        for part in &hold.parts {
            if let Some(level) = self.by_location.get_mut(&part.location) {
                level.take_off_wheel(hold.minute, part.units);
            }
        }
    }

    fn prune(&mut self, now: OffsetDateTime) {
        for level in self.by_location.values_mut() {
            level.prune(now);
        }
    }
}
