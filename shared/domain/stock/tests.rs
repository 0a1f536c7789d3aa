//! Every sequence of changes, with clocks that differ, leaves books that add up and nothing oversold.
use std::collections::BTreeMap;

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::{
    Allocation, CLOCK_SKEW, Change, Count, Entry, Hold, HoldState, Kind, Levels, Location, Part, Rule, StockRefusal,
    Waiting, Want, check_i1, expiry_minute, units, waiting,
};
use crate::ids::CheckoutId;

const START: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00:00 UTC);

fn checkout(n: u128) -> CheckoutId {
    CheckoutId::new(Ulid::from_parts(1, n))
}

fn want(n: u128, units: i64, until: OffsetDateTime, fence: u32) -> Want {
    Want { checkout: checkout(n), units, minute: expiry_minute(until), fence }
}

fn main_only(on_hand: i64) -> (Levels, Allocation) {
    (Levels::at(Location::main(), on_hand), Allocation::default())
}

const SHORT: StockRefusal = StockRefusal::Short { available: 0 };

#[test]
fn the_last_unit_is_held_once_and_comes_back_by_itself() {
    let (mut levels, all) = main_only(1);
    let until = START + Duration::minutes(10);
    levels.hold(None, want(1, 1, until, 1), &all, START).unwrap();
    assert_eq!(levels.hold(None, want(2, 1, until, 1), &all, START), Err(SHORT));
    assert_eq!(levels.available(until + CLOCK_SKEW), 0);
    assert_eq!(levels.available(until + CLOCK_SKEW + Duration::seconds(1)), 1);
}

#[test]
fn a_hold_is_repeated_extended_claimed_and_released_once() {
    let (mut levels, all) = main_only(3);
    let until = START + Duration::minutes(10);
    let first = levels.hold(None, want(1, 2, until, 1), &all, START).unwrap();
    let again = levels.hold(Some(&first), want(1, 3, until + Duration::minutes(5), 2), &all, START).unwrap();
    assert_eq!((levels.live_holds(START), levels.available(START)), (3, 0));
    assert_eq!(levels.release(&again, 1), Err(StockRefusal::Superseded));
    let (claimed, changes) = levels.claim(&again, (3, 2), &all, START).unwrap();
    assert_eq!(changes, [Change { location: Location::main(), on_hand: 0, allocated: 3 }]);
    assert_eq!(levels.claim(&claimed, (3, 2), &all, START).unwrap(), (claimed.clone(), Vec::new()));
    assert_eq!((levels.allocated(), levels.live_holds(START), levels.available(START)), (3, 0, 0));
    let (released, _) = levels.release(&claimed, 3).unwrap();
    assert_eq!(levels.release(&released, 3).unwrap(), (released, Vec::new()));
    assert_eq!((levels.allocated(), levels.live_holds(START), levels.available(START)), (0, 0, 3));
}

#[test]
fn a_lapsed_hold_is_claimed_only_if_the_units_are_still_there() {
    let until = START + Duration::minutes(1);
    let late = until + Duration::minutes(1);
    let (mut levels, all) = main_only(1);
    let slow = levels.hold(None, want(1, 1, until, 1), &all, START).unwrap();
    let mut taken = levels.clone();
    let quick = taken.hold(None, want(2, 1, late + Duration::minutes(10), 1), &all, late).unwrap();
    taken.claim(&quick, (1, 1), &all, late).unwrap();
    assert_eq!(taken.claim(&slow, (1, 1), &all, late), Err(SHORT));
    levels.claim(&slow, (1, 1), &all, late).unwrap();
    assert_eq!((levels.allocated(), levels.available(late)), (1, 0));
}

/// An instance whose clock is ahead sees the hold lapse first and sells the unit.
#[test]
fn clocks_that_differ_do_not_sell_a_unit_twice() {
    let until = START + Duration::minutes(1);
    let (mut levels, all) = main_only(1);
    let first = levels.hold(None, want(1, 1, until, 1), &all, START).unwrap();
    let ahead = until + CLOCK_SKEW + Duration::seconds(1);
    let second = levels.hold(None, want(2, 1, ahead + Duration::minutes(10), 1), &all, ahead).unwrap();
    levels.claim(&second, (1, 1), &all, ahead).unwrap();
    let behind = ahead - Duration::seconds(4);
    assert_eq!(levels.claim(&first, (1, 1), &all, behind), Err(SHORT));
    assert_eq!(levels.allocated(), 1);
}

#[test]
fn a_lapsed_hold_may_be_claimed_elsewhere() {
    let [near, far] = ["near", "far"].map(|it| Location::parse(it).unwrap());
    let mut levels = Levels::at(near.clone(), 1);
    levels.count(&far, Count { on_hand: Some(5), ..Count::default() }).unwrap();
    let all = Allocation::new(Rule::Priority, vec![near.clone(), far.clone()]);
    let until = START + Duration::minutes(1);
    let late = until + Duration::minutes(1);
    let slow = levels.hold(None, want(1, 1, until, 1), &all, START).unwrap();
    assert_eq!(slow.parts, [Part { location: near.clone(), units: 1 }]);
    let quick = levels.hold(None, want(2, 1, late + Duration::minutes(9), 1), &all, late).unwrap();
    levels.claim(&quick, (1, 1), &all, late).unwrap();
    let (claimed, _) = levels.claim(&slow, (1, 1), &all, late).unwrap();
    assert_eq!(claimed.parts, [Part { location: far, units: 1 }]);
    let pickup = Allocation::only(near);
    assert_eq!(levels.hold(None, want(3, 1, late + Duration::minutes(9), 1), &pickup, late), Err(SHORT));
}

#[test]
fn safety_is_kept_back_and_a_backorder_goes_as_far_as_its_limit() {
    let (mut levels, all) = main_only(5);
    let until = START + Duration::minutes(10);
    levels.count(&Location::main(), Count { safety: Some(2), ..Count::default() }).unwrap();
    assert_eq!(levels.hold(None, want(1, 4, until, 1), &all, START), Err(StockRefusal::Short { available: 3 }));
    levels.count(&Location::main(), Count { backorder_limit: Some(Some(4)), ..Count::default() }).unwrap();
    levels.hold(None, want(1, 7, until, 1), &all, START).unwrap();
    assert_eq!(levels.hold(None, want(2, 1, until, 1), &all, START), Err(SHORT));
    levels.count(&Location::main(), Count { backorder_limit: Some(None), ..Count::default() }).unwrap();
    levels.hold(None, want(2, 999, until, 1), &all, START).unwrap();
    let bad = Count { on_hand: Some(-1), ..Count::default() };
    assert_eq!(levels.count(&Location::main(), bad), Err(StockRefusal::OutOfRange));
}

#[test]
fn a_paid_order_may_be_promised_what_is_not_there_and_is_served_first_in_first_out() {
    let (mut levels, all) = main_only(0);
    let beyond = all.beyond_limits();
    let mut entries = Vec::new();
    for (n, units) in [(1, 2), (2, 3)] {
        let lost = Hold { checkout: checkout(n), parts: Vec::new(), minute: 0, fence: 1, state: HoldState::Released };
        let (_, changes) = levels.claim(&lost, (units, 1), &beyond, START).unwrap();
        let cause = checkout(n).order().to_string();
        entries.push(Entry { seq: levels.seq, kind: Kind::Backorder, cause, at: START, changes });
    }
    let changes = levels.restock(&Location::main(), 4).unwrap();
    entries.push(Entry { seq: levels.seq, kind: Kind::Restock, cause: "delivery".to_owned(), at: START, changes });
    assert_eq!(check_i1(&levels, &[], &entries, START), []);
    let part = Part { location: Location::main(), units: 1 };
    assert_eq!(waiting(&levels, &entries), [Waiting { order: checkout(2).order().to_string(), part }]);
}

#[test]
fn shipping_and_giving_back_take_only_what_was_promised() {
    let (mut levels, all) = main_only(5);
    let until = START + Duration::minutes(10);
    let hold = levels.hold(None, want(1, 3, until, 1), &all, START).unwrap();
    levels.claim(&hold, (3, 1), &all, START).unwrap();
    let part = |units| [Part { location: Location::main(), units }];
    levels.ship(&part(2)).unwrap();
    assert_eq!((levels.on_hand(), levels.allocated(), levels.available(START)), (3, 1, 2));
    let refused = StockRefusal::NotAllocated { location: Location::main(), allocated: 1 };
    assert_eq!(levels.ship(&part(2)), Err(refused.clone()));
    assert_eq!(levels.give_back(&part(2)), Err(refused));
    levels.give_back(&part(1)).unwrap();
    levels.restock(&Location::main(), 2).unwrap();
    assert_eq!((levels.on_hand(), levels.allocated(), levels.available(START)), (5, 0, 5));
    assert_eq!(levels.restock(&Location::main(), 0), Err(StockRefusal::OutOfRange));
}

#[derive(Clone, Debug)]
enum Step {
    Hold(u8, i64),
    Release(u8),
    Claim(u8),
    Ship(u8, i64),
    GiveBack(u8, i64),
    Restock(u8, i64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..6, 1_i64..4).prop_map(|(who, units)| Step::Hold(who, units)),
        1 => (0_u8..6).prop_map(Step::Release),
        3 => (0_u8..6).prop_map(Step::Claim),
        1 => (0_u8..6, 1_i64..4).prop_map(|(who, units)| Step::Ship(who, units)),
        1 => (0_u8..6, 1_i64..4).prop_map(|(who, units)| Step::GiveBack(who, units)),
        1 => (0_u8..3, 1_i64..3).prop_map(|(place, units)| Step::Restock(place, units)),
        2 => (1_i64..400).prop_map(Step::Wait),
    ]
}

/// The books of one SKU, and what each buyer holds.
struct World {
    levels: Levels,
    all: Allocation,
    holds: BTreeMap<u8, Hold>,
    /// Units shipped or given back, by buyer, in the order of their parts.
    gone: BTreeMap<u8, Vec<Part>>,
    entries: Vec<Entry>,
}

impl World {
    fn new(stock: &[(i64, i64, i64)], rule: Rule) -> World {
        let names: Vec<Location> =
            (0..stock.len()).map(|it| Location::parse(&format!("place-{it}")).unwrap()).collect();
        let all = Allocation::new(rule, names.clone());
        let mut world = World {
            levels: Levels::default(),
            all,
            holds: BTreeMap::new(),
            gone: BTreeMap::new(),
            entries: Vec::new(),
        };
        for (name, (on_hand, safety, limit)) in names.iter().zip(stock) {
            let count = Count { on_hand: Some(*on_hand), safety: Some(*safety), backorder_limit: Some(Some(*limit)) };
            let change = world.levels.count(name, count).unwrap();
            world.note(Kind::Stocktake, vec![change]);
        }
        world
    }

    fn note(&mut self, kind: Kind, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.entries.push(Entry { seq: self.levels.seq, kind, cause: String::new(), at: START, changes });
        }
    }

    /// The part of a claimed hold that is still open, at most `most` units of its first place.
    fn open(&self, who: u8, most: i64) -> Option<Part> {
        let hold = self.holds.get(&who).filter(|it| it.state == HoldState::Claimed)?;
        let gone = |place: &Location| {
            let parts = self.gone.get(&who).into_iter().flatten();
            parts.filter(|it| it.location == *place).map(|it| it.units).sum::<i64>()
        };
        hold.parts.iter().find_map(|part| {
            let left = part.units - gone(&part.location);
            (left > 0).then(|| Part { location: part.location.clone(), units: left.min(most) })
        })
    }

    fn act(&mut self, step: &Step, now: OffsetDateTime) {
        match *step {
            Step::Hold(who, units) => {
                let wanted = want(u128::from(who), units, now + Duration::minutes(3), 1);
                if let Ok(hold) = self.levels.hold(self.holds.get(&who), wanted, &self.all, now) {
                    self.holds.insert(who, hold);
                }
            }
            // Only a checkout without an order is undone.
            Step::Release(who) => {
                if let Some(hold) = self.holds.get(&who).filter(|_| !self.gone.contains_key(&who)) {
                    let (hold, changes) = self.levels.release(hold, 1).unwrap();
                    self.holds.insert(who, hold);
                    self.note(Kind::Deallocate, changes);
                }
            }
            Step::Claim(who) => {
                if let Some(hold) = self.holds.get(&who)
                    && let Ok((hold, changes)) = self.levels.claim(hold, (hold.units(), 1), &self.all, now)
                {
                    self.holds.insert(who, hold);
                    self.note(Kind::Allocate, changes);
                }
            }
            Step::Ship(who, most) | Step::GiveBack(who, most) => {
                if let Some(part) = self.open(who, most) {
                    let parts = std::slice::from_ref(&part);
                    let ship = matches!(step, Step::Ship(..));
                    let done = if ship { self.levels.ship(parts) } else { self.levels.give_back(parts) };
                    self.note(if ship { Kind::Ship } else { Kind::GiveBack }, done.unwrap());
                    self.gone.entry(who).or_default().push(part);
                }
            }
            Step::Restock(place, units) => {
                let names: Vec<_> = self.levels.by_location.keys().cloned().collect();
                let changes = self.levels.restock(&names[usize::from(place) % names.len()], units).unwrap();
                self.note(Kind::Restock, changes);
            }
            Step::Wait(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_ever_oversold_and_the_books_add_up(
        stock in proptest::collection::vec((0_i64..6, 0_i64..3, 0_i64..3), 1..4),
        most in proptest::bool::ANY,
        steps in proptest::collection::vec((step(), -2_i64..=2), 1..80),
    ) {
        let mut world = World::new(&stock, if most { Rule::MostStock } else { Rule::Priority });
        let mut time = START;
        for (step, skew) in steps {
            world.act(&step, time + Duration::seconds(skew));
            if let Step::Wait(seconds) = step {
                time += Duration::seconds(seconds);
            }
            let holds: Vec<Hold> = world.holds.values().cloned().collect();
            let faults = check_i1(&world.levels, &holds, &world.entries, time);
            prop_assert_eq!(faults, [], "{:?}", world.levels);
            let claimed: i64 = holds.iter().filter(|it| it.state == HoldState::Claimed).map(Hold::units).sum();
            let gone: i64 = world.gone.values().map(|parts| units(parts)).sum();
            prop_assert_eq!(world.levels.allocated(), claimed - gone);
            for level in world.levels.by_location.values() {
                let limit = level.backorder_limit.unwrap();
                prop_assert!(level.on_hand - level.allocated >= -limit, "{:?}", world.levels);
                prop_assert!(level.held.values().all(|units| *units > 0), "{:?}", world.levels);
            }
        }
    }
}
