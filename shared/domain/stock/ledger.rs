//! The ledger of one SKU: why its levels are what they are. Append-only; what is on hand and what is
//! promised are the sums of its entries.
//!
//! Backorders need no books of their own. Promises stand in the ledger in their order, so what lies on the
//! shelf belongs to the oldest open promises; the others wait, and a restock serves them first in, first out.
use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Hold, HoldState, Levels, Location, Part, first_live};

/// What one entry does to one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub location: Location,
    pub on_hand: i64,
    pub allocated: i64,
}

/// Why a level changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Staff counted, or set how the location sells.
    Stocktake,
    /// Promised to an order.
    Allocate,
    /// Promised to an order that waits, beyond what may be sold.
    Backorder,
    /// The order's completion was undone.
    Deallocate,
    /// The order was cancelled.
    GiveBack,
    Ship,
    /// Goods came in or came back.
    Restock,
    /// Another system said so.
    Update,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Stocktake,
        Kind::Allocate,
        Kind::Backorder,
        Kind::Deallocate,
        Kind::GiveBack,
        Kind::Ship,
        Kind::Restock,
        Kind::Update,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Stocktake => "stocktake",
            Kind::Allocate => "allocate",
            Kind::Backorder => "backorder",
            Kind::Deallocate => "deallocate",
            Kind::GiveBack => "give_back",
            Kind::Ship => "ship",
            Kind::Restock => "restock",
            Kind::Update => "update",
        }
    }

    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether it may leave less than is promised already: the shelf is what it is.
    const fn may_lower(self) -> bool {
        matches!(self, Kind::Stocktake | Kind::Update | Kind::Backorder)
    }
}

/// One movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The levels' `seq` after it.
    pub seq: i64,
    pub kind: Kind,
    /// The order, person or system behind it.
    pub cause: String,
    pub at: OffsetDateTime,
    pub changes: Vec<Change>,
}

/// What is wrong with the books of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockFault {
    #[error("{location}: {on_hand} on hand, but the movements sum to {sum}")]
    OnHand { location: Location, on_hand: i64, sum: i64 },
    #[error("{location}: {allocated} promised, but the movements sum to {sum}")]
    Allocated { location: Location, allocated: i64, sum: i64 },
    #[error("{location}: {claimed} units are claimed by holds, but only {sum} were ever promised")]
    Claimed { location: Location, claimed: i64, sum: i64 },
    #[error("{location}: {on_wheel} units are held until minute {minute}, but the holds' records say {holds}")]
    Wheel { location: Location, minute: i64, on_wheel: i64, holds: i64 },
    #[error("{location}: {by} units more are sold than may be")]
    Oversold { location: Location, by: i64 },
}

/// Invariant I1 for one SKU, over everything its partition holds at one moment: on hand and allocated are the sums
/// of the ledger, no more is held than the holds' records say, and nothing is oversold. A location that was
/// counted again or told by another system, or backordered by policy, may have less than it promised.
pub fn check_i1(levels: &Levels, holds: &[Hold], entries: &[Entry], now: OffsetDateTime) -> Vec<StockFault> {
    let mut faults = Vec::new();
    let changes = || entries.iter().flat_map(|entry| entry.changes.iter().map(move |change| (entry, change)));
    let mut locations: Vec<&Location> = levels.by_location.keys().collect();
    locations.extend(changes().map(|(_, change)| &change.location));
    locations.sort_unstable();
    locations.dedup();
    for location in locations {
        let level = levels.by_location.get(location).cloned().unwrap_or_default();
        let here = || changes().filter(|(_, change)| change.location == *location);
        let on_hand: i64 = here().map(|(_, change)| change.on_hand).sum();
        if on_hand != level.on_hand {
            faults.push(StockFault::OnHand { location: location.clone(), on_hand: level.on_hand, sum: on_hand });
        }
        let allocated: i64 = here().map(|(_, change)| change.allocated).sum();
        let promised = level.allocated;
        if allocated != promised {
            faults.push(StockFault::Allocated { location: location.clone(), allocated: promised, sum: allocated });
        }
        let kinds = [Kind::Allocate, Kind::Backorder, Kind::Deallocate];
        let sum = here().filter(|(entry, _)| kinds.contains(&entry.kind)).map(|(_, change)| change.allocated).sum();
        let claimed = held_at(holds, location, |hold| hold.state == HoldState::Claimed);
        if claimed > sum {
            faults.push(StockFault::Claimed { location: location.clone(), claimed, sum });
        }
        for (minute, on_wheel) in level.held.range(first_live(now)..) {
            let (minute, on_wheel) = (*minute, *on_wheel);
            let held = held_at(holds, location, |hold| hold.state == HoldState::Live && hold.minute == minute);
            if on_wheel > held {
                faults.push(StockFault::Wheel { location: location.clone(), minute, on_wheel, holds: held });
            }
        }
        let free = level.available(now) + level.safety;
        // The first entry is the opening count.
        let lowered = here().skip(1).any(|(entry, change)| entry.kind.may_lower() && change.on_hand <= 0);
        if free < 0 && !lowered {
            faults.push(StockFault::Oversold { location: location.clone(), by: -free });
        }
    }
    faults
}

fn held_at(holds: &[Hold], location: &Location, which: impl Fn(&Hold) -> bool) -> i64 {
    let parts = holds.iter().filter(|hold| which(hold)).flat_map(|hold| &hold.parts);
    parts.filter(|part| part.location == *location).map(|part| part.units).sum()
}

/// An order that waits for goods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The order's id, as its movements name it.
    pub order: String,
    pub part: Part,
}

/// Who waits for how much, oldest first. What lies there belongs to the oldest promises.
pub fn waiting(levels: &Levels, entries: &[Entry]) -> Vec<Waiting> {
    let mut entries: Vec<&Entry> = entries.iter().filter(|it| it.changes.iter().any(|it| it.allocated != 0)).collect();
    entries.sort_by_key(|it| it.seq);
    let mut open: BTreeMap<(&Location, &str), (i64, i64)> = BTreeMap::new();
    for entry in entries {
        for change in &entry.changes {
            let promise = open.entry((&change.location, entry.cause.as_str())).or_insert((entry.seq, 0));
            promise.1 += change.allocated;
        }
    }
    let mut promises: Vec<_> = open.into_iter().filter(|(_, (_, units))| *units > 0).collect();
    promises.sort_by_key(|(_, (seq, _))| *seq);
    let mut shelf: BTreeMap<&Location, i64> =
        levels.by_location.iter().map(|(location, level)| (location, level.on_hand.max(0))).collect();
    let mut waiting = Vec::new();
    for ((location, order), (_, units)) in promises {
        let here = shelf.entry(location).or_default();
        let served = units.min(*here);
        *here -= served;
        if served < units {
            let part = Part { location: location.clone(), units: units - served };
            waiting.push(Waiting { order: order.to_owned(), part });
        }
    }
    waiting
}
