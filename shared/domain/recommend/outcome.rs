//! What shoppers made of what they were shown, for each surface.
use std::collections::{BTreeMap, HashSet};

use super::{hash::xxh64, surface::Surface};

/// Lists whose repeats are known, some 20 MB; beyond that a list that comes twice counts twice.
const KNOWN_MAX: usize = 1_000_000;
/// Clicks that are known, and purchases, some 40 MB each; beyond that a click that comes twice counts twice, and nobody
/// knows what was bought after it.
const MOMENTS_MAX: usize = 900_000;

/// Of one surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Items in lists that were shown.
    pub shown: u64,
    pub clicked: u64,
    /// Clicked, and then bought in the same session.
    pub bought: u64,
}

/// A session, an item of it by its hash, and when that was clicked or bought.
type Moment = (u64, u64, u32);

/// Counts what comes in any order, and what comes twice once.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    lists: HashSet<u64>,
    shown: BTreeMap<&'static str, u64>,
    clicked: HashSet<(Moment, &'static str)>,
    clicked_beyond: BTreeMap<&'static str, u64>,
    bought: HashSet<Moment>,
}

impl Outcomes {
    /// A list of so many items; `list` tells it from every other.
    pub fn shown(&mut self, list: u64, surface: Surface, items: usize) {
        let is_new = self.lists.len() >= KNOWN_MAX || self.lists.insert(list);
        if is_new {
            *self.shown.entry(surface.name()).or_default() += items as u64;
        }
    }

    pub fn clicked(&mut self, session: u64, surface: Surface, item: &str, at: u32) {
        if self.clicked.len() < MOMENTS_MAX {
            self.clicked.insert(((session, xxh64(item.as_bytes()), at), surface.name()));
        } else {
            *self.clicked_beyond.entry(surface.name()).or_default() += 1;
        }
    }

    pub fn bought(&mut self, session: u64, item: &str, at: u32) {
        if self.bought.len() < MOMENTS_MAX {
            self.bought.insert((session, xxh64(item.as_bytes()), at));
        }
    }

    /// By the names of surfaces. A purchase is owed to the last click on its item before it, and to no other.
    pub fn finish(self) -> BTreeMap<&'static str, Outcome> {
        let mut outcomes = BTreeMap::<&'static str, Outcome>::new();
        for (surface, shown) in self.shown {
            outcomes.entry(surface).or_default().shown = shown;
        }
        for (surface, clicked) in self.clicked_beyond {
            outcomes.entry(surface).or_default().clicked = clicked;
        }
        let mut clicks: Vec<(Moment, &'static str)> = self.clicked.into_iter().collect();
        clicks.sort_unstable();
        for (_, surface) in &clicks {
            outcomes.entry(surface).or_default().clicked += 1;
        }
        let mut bought: Vec<Moment> = self.bought.into_iter().collect();
        bought.sort_unstable();
        let mut owed = HashSet::new();
        for (session, item, at) in bought {
            let before = clicks.partition_point(|(click, _)| *click <= (session, item, at));
            let Some(last) = before.checked_sub(1) else { continue };
            let ((of, what, _), surface) = clicks[last];
            if (of, what) == (session, item) && owed.insert(last) {
                outcomes.entry(surface).or_default().bought += 1;
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_is_owed_to_the_last_click_before_it_once() {
        let mut outcomes = Outcomes::default();
        outcomes.shown(1, Surface::Next, 12);
        outcomes.shown(2, Surface::Cart, 4);
        outcomes.shown(1, Surface::Next, 12);
        outcomes.bought(7, "mug", 30);
        outcomes.clicked(7, Surface::Next, "mug", 10);
        outcomes.clicked(7, Surface::Cart, "mug", 20);
        outcomes.clicked(7, Surface::Cart, "mug", 20);
        outcomes.clicked(7, Surface::Next, "tea", 40);
        // Before its click, again, by somebody else, and without any click.
        outcomes.bought(7, "tea", 39);
        outcomes.bought(7, "mug", 31);
        outcomes.bought(8, "mug", 50);
        outcomes.bought(7, "pot", 50);
        let next = Outcome { shown: 12, clicked: 2, bought: 0 };
        let cart = Outcome { shown: 4, clicked: 1, bought: 1 };
        assert_eq!(outcomes.finish(), BTreeMap::from([("next", next), ("cart", cart)]));
    }

    #[test]
    fn a_flood_of_clicks_takes_no_more_room_and_is_counted() {
        let mut outcomes = Outcomes::default();
        let flood = MOMENTS_MAX as u32 + 500;
        for at in 0..flood {
            outcomes.clicked(7, Surface::Next, "mug", at);
            outcomes.bought(7, "tea", at);
        }
        assert_eq!((outcomes.clicked.len(), outcomes.bought.len()), (MOMENTS_MAX, MOMENTS_MAX));
        assert_eq!(outcomes.finish()["next"].clicked, u64::from(flood));
    }
}
