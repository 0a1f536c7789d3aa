//! Stock of one SKU at one place, and the holds on it.
//!
//! A hold lives in the level's expiry wheel (units per expiry minute) and in a record of its own. Past
//! minutes count for nothing, so a hold lapses without any job; the counter restores itself. Only `claim`
//! makes a hold permanent. Never oversold: every change starts from the level as stored and is written
//! only if that is still the level.
use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::ids::CheckoutId;

/// How far two instances' clocks may differ: a hold counts for this long after its end.
pub const CLOCK_SKEW: Duration = Duration::seconds(2);

/// Most units at one place; far above any shop's, far below what arithmetic can hold.
pub const ON_HAND_MAX: i64 = 1_000_000_000;

/// Units of one SKU at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// On the shelf.
    pub on_hand: i64,
    /// Promised to placed orders.
    pub allocated: i64,
    /// Kept back.
    pub safety: i64,
    /// May be sold below zero.
    pub backorder_limit: i64,
    /// Held units by the minute (since the epoch) in which the hold ends.
    pub held: BTreeMap<i64, i64>,
    /// Counts changes.
    pub seq: i64,
}

/// One checkout's hold on one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub checkout: CheckoutId,
    pub units: i64,
    /// Key in the expiry wheel.
    pub minute: i64,
    /// Which run of the checkout placed it; a lower one may not touch it.
    pub fence: u32,
    pub state: HoldState,
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
    #[error("on hand is a whole number from 0 to {ON_HAND_MAX}")]
    OutOfRange,
}

impl Level {
    pub fn new(on_hand: i64) -> Level {
        Level { on_hand, ..Level::default() }
    }

    /// Units under live holds.
    pub fn live_holds(&self, now: OffsetDateTime) -> i64 {
        self.held.range(first_live(now)..).map(|(_, units)| units).sum()
    }

    /// What may be sold now; may be negative after a stocktake.
    pub fn available(&self, now: OffsetDateTime) -> i64 {
        self.on_hand - self.allocated - self.live_holds(now) - self.safety + self.backorder_limit
    }

    /// Sets what a stocktake found.
    ///
    /// # Errors
    /// `OutOfRange`.
    pub fn set_on_hand(&mut self, on_hand: i64) -> Result<(), StockRefusal> {
        if !(0..=ON_HAND_MAX).contains(&on_hand) {
            return Err(StockRefusal::OutOfRange);
        }
        self.on_hand = on_hand;
        self.seq += 1;
        Ok(())
    }

    /// Holds `units` until `until` for a checkout. Repeating it, or doing it again with other numbers,
    /// replaces the checkout's earlier hold; what is claimed already stays claimed.
    ///
    /// # Errors
    /// `Short`, `Superseded`.
    pub fn hold(&mut self, earlier: Option<&Hold>, wanted: Hold, now: OffsetDateTime) -> Result<Hold, StockRefusal> {
        if let Some(earlier) = earlier {
            if earlier.fence > wanted.fence {
                return Err(StockRefusal::Superseded);
            }
            match earlier.state {
                HoldState::Claimed => return Ok(earlier.clone()),
                HoldState::Live => self.take_off_wheel(earlier),
                HoldState::Released => {}
            }
        }
        let available = self.available(now);
        if available < wanted.units {
            return Err(StockRefusal::Short { available: available.max(0) });
        }
        self.prune(now);
        *self.held.entry(wanted.minute).or_default() += wanted.units;
        self.seq += 1;
        Ok(Hold { state: HoldState::Live, ..wanted })
    }

    /// Gives a hold back, claimed units too: for a checkout that is being undone and can never be placed.
    ///
    /// # Errors
    /// `Superseded`.
    pub fn release(&mut self, hold: &Hold, fence: u32) -> Result<Hold, StockRefusal> {
        if hold.fence > fence {
            return Err(StockRefusal::Superseded);
        }
        match hold.state {
            HoldState::Live => self.take_off_wheel(hold),
            HoldState::Claimed => self.allocated -= hold.units,
            HoldState::Released => return Ok(hold.clone()),
        }
        self.seq += 1;
        Ok(Hold { state: HoldState::Released, fence, ..hold.clone() })
    }

    /// Makes a hold permanent. One that has lapsed is tested again; one that is claimed stays so.
    ///
    /// # Errors
    /// `Short`, `Superseded`.
    pub fn claim(&mut self, hold: &Hold, fence: u32, now: OffsetDateTime) -> Result<Hold, StockRefusal> {
        if hold.fence > fence {
            return Err(StockRefusal::Superseded);
        }
        match hold.state {
            HoldState::Claimed => return Ok(hold.clone()),
            HoldState::Live if self.is_on_wheel(hold, now) => self.take_off_wheel(hold),
            HoldState::Live | HoldState::Released => {
                let available = self.available(now);
                if available < hold.units {
                    return Err(StockRefusal::Short { available: available.max(0) });
                }
            }
        }
        self.allocated += hold.units;
        self.prune(now);
        self.seq += 1;
        Ok(Hold { state: HoldState::Claimed, fence, ..hold.clone() })
    }

    /// Whether the units are still kept for this hold. Whoever gives units away prunes what has lapsed by
    /// their own clock, so a hold that is missing here may have been sold, whatever our clock says.
    fn is_on_wheel(&self, hold: &Hold, now: OffsetDateTime) -> bool {
        hold.minute >= first_live(now) && self.held.get(&hold.minute).is_some_and(|units| *units >= hold.units)
    }

    /// A minute that was pruned has nothing to take.
    fn take_off_wheel(&mut self, hold: &Hold) {
        if let Some(units) = self.held.get_mut(&hold.minute) {
            *units -= hold.units;
            if *units <= 0 {
                self.held.remove(&hold.minute);
            }
        }
    }

    fn prune(&mut self, now: OffsetDateTime) {
        self.held = self.held.split_off(&first_live(now));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ulid::Ulid;

    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00:00 UTC);

    fn checkout(n: u128) -> CheckoutId {
        CheckoutId::new(Ulid::from_parts(1, n))
    }

    fn wanted(n: u128, units: i64, until: OffsetDateTime, fence: u32) -> Hold {
        Hold { checkout: checkout(n), units, minute: expiry_minute(until), fence, state: HoldState::Live }
    }

    #[test]
    fn the_last_unit_is_held_once_and_comes_back_by_itself() {
        let mut level = Level::new(1);
        let until = START + Duration::minutes(10);
        level.hold(None, wanted(1, 1, until, 1), START).unwrap();
        assert_eq!(level.hold(None, wanted(2, 1, until, 1), START), Err(StockRefusal::Short { available: 0 }));
        assert_eq!(level.available(until + CLOCK_SKEW), 0);
        assert_eq!(level.available(until + CLOCK_SKEW + Duration::seconds(1)), 1);
    }

    #[test]
    fn a_hold_is_repeated_extended_claimed_and_released_once() {
        let mut level = Level::new(3);
        let until = START + Duration::minutes(10);
        let first = level.hold(None, wanted(1, 2, until, 1), START).unwrap();
        let again = level.hold(Some(&first), wanted(1, 3, until + Duration::minutes(5), 2), START).unwrap();
        assert_eq!((level.live_holds(START), level.available(START)), (3, 0));
        assert_eq!(level.release(&again, 1), Err(StockRefusal::Superseded));
        let claimed = level.claim(&again, 2, START).unwrap();
        assert_eq!(level.claim(&claimed, 2, START).unwrap(), claimed);
        assert_eq!((level.allocated, level.live_holds(START), level.available(START)), (3, 0, 0));
        let released = level.release(&claimed, 3).unwrap();
        assert_eq!(level.release(&released, 3).unwrap(), released);
        assert_eq!((level.allocated, level.live_holds(START), level.available(START)), (0, 0, 3));
    }

    #[test]
    fn a_lapsed_hold_is_claimed_only_if_the_units_are_still_there() {
        let until = START + Duration::minutes(1);
        let late = until + Duration::minutes(1);
        let mut level = Level::new(1);
        let slow = level.hold(None, wanted(1, 1, until, 1), START).unwrap();
        let mut taken = level.clone();
        let quick = taken.hold(None, wanted(2, 1, late + Duration::minutes(10), 1), late).unwrap();
        taken.claim(&quick, 1, late).unwrap();
        assert_eq!(taken.claim(&slow, 1, late), Err(StockRefusal::Short { available: 0 }));
        level.claim(&slow, 1, late).unwrap();
        assert_eq!((level.allocated, level.available(late)), (1, 0));
    }

    /// An instance whose clock is ahead sees the hold lapse first and sells the unit.
    #[test]
    fn clocks_that_differ_do_not_sell_a_unit_twice() {
        let until = START + Duration::minutes(1);
        let mut level = Level::new(1);
        let first = level.hold(None, wanted(1, 1, until, 1), START).unwrap();
        let ahead = until + CLOCK_SKEW + Duration::seconds(1);
        let second = level.hold(None, wanted(2, 1, ahead + Duration::minutes(10), 1), ahead).unwrap();
        level.claim(&second, 1, ahead).unwrap();
        let behind = ahead - Duration::seconds(4);
        assert_eq!(level.claim(&first, 1, behind), Err(StockRefusal::Short { available: 0 }));
        assert_eq!(level.allocated, 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Hold(u8, i64),
        Release(u8),
        Claim(u8),
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u8..6, 1_i64..4).prop_map(|(who, units)| Step::Hold(who, units)),
            (0_u8..6).prop_map(Step::Release),
            (0_u8..6).prop_map(Step::Claim),
            (1_i64..400).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_ever_oversold(
            on_hand in 0_i64..10,
            steps in proptest::collection::vec((step(), -2_i64..=2), 1..80),
        ) {
            let mut level = Level::new(on_hand);
            let mut holds: BTreeMap<u8, Hold> = BTreeMap::new();
            let mut time = START;
            for (step, skew) in steps {
                let now = time + Duration::seconds(skew);
                match step {
                    Step::Hold(who, units) => {
                        let want = wanted(u128::from(who), units, now + Duration::minutes(3), 1);
                        let before = level.clone();
                        match level.hold(holds.get(&who), want, now) {
                            Ok(hold) => { holds.insert(who, hold); }
                            Err(_) => level = before,
                        }
                    }
                    Step::Release(who) => if let Some(hold) = holds.get(&who) {
                        let hold = level.release(hold, 1).unwrap();
                        holds.insert(who, hold);
                    },
                    Step::Claim(who) => if let Some(hold) = holds.get(&who)
                        && let Ok(hold) = level.claim(hold, 1, now)
                    {
                        holds.insert(who, hold);
                    },
                    Step::Wait(seconds) => time += Duration::seconds(seconds),
                }
                let claimed: i64 = holds.values().filter(|it| it.state == HoldState::Claimed).map(|it| it.units).sum();
                prop_assert_eq!(level.allocated, claimed);
                prop_assert!(level.allocated <= on_hand, "{:?}", level);
                prop_assert!(level.held.values().all(|units| *units > 0));
            }
        }
    }
}
