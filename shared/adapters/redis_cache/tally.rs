//! Counters as this process knows them: what Redis last said, and its own units since.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Counters kept before the lapsed ones are thrown away; if none is, all of them: Redis tells them again.
const TALLIES_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Tallies(Mutex<HashMap<String, Tally>>);

struct Tally {
    /// What Redis last said, or what was counted without it.
    known: u64,
    /// On the way to Redis.
    sent: u64,
    /// Waits for the keeper.
    unsent: u64,
    until: Instant,
}

impl Tallies {
    fn by_key(&self) -> MutexGuard<'_, HashMap<String, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The total with these units, and whether the keeper does not know yet that there are any.
    pub(super) fn add(&self, key: &str, units: u64, window: Duration) -> (u64, bool) {
        let (now, mut by_key) = (Instant::now(), self.by_key());
        if by_key.len() >= TALLIES_MAX && !by_key.contains_key(key) {
            by_key.retain(|_, tally| tally.until > now);
            if by_key.len() >= TALLIES_MAX {
                by_key.clear();
            }
        }
        let fresh = Tally { known: 0, sent: 0, unsent: 0, until: now + window };
        let tally = match by_key.get_mut(key) {
            Some(tally) => tally,
            None => by_key.entry(key.to_owned()).or_insert(fresh),
        };
        if tally.until <= now {
            *tally = Tally { known: 0, sent: 0, unsent: 0, until: now + window };
        }
        let is_first = tally.unsent == 0;
        tally.unsent = tally.unsent.saturating_add(units);
        (tally.known.saturating_add(tally.sent).saturating_add(tally.unsent), is_first)
    }

    /// What is to be sent, and how long the counter lives yet.
    pub(super) fn take(&self, key: &str) -> Option<(u64, Duration)> {
        let mut by_key = self.by_key();
        let tally = by_key.get_mut(key)?;
        let left = tally.until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        let units = std::mem::take(&mut tally.unsent);
        tally.sent = tally.sent.saturating_add(units);
        Some((units, left))
    }

    /// Redis has the units, and this many of everyone; `None`: it has not answered, they count here only.
    pub(super) fn settle(&self, key: &str, units: u64, total: Option<u64>) {
        if let Some(tally) = self.by_key().get_mut(key) {
            tally.sent = tally.sent.saturating_sub(units);
            tally.known = total.unwrap_or(tally.known.saturating_add(units));
        }
    }

    /// There is no way to Redis: what waits counts here only.
    pub(super) fn keep_to_ourselves(&self, key: &str) {
        if let Some(tally) = self.by_key().get_mut(key) {
            tally.known = tally.known.saturating_add(std::mem::take(&mut tally.unsent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn units_count_once_wherever_they_are() {
        let tallies = Tallies::default();
        assert_eq!(tallies.add("a", 2, WINDOW), (2, true));
        assert_eq!(tallies.add("a", 1, WINDOW), (3, false));
        let (units, left) = tallies.take("a").unwrap();
        assert!(units == 3 && left <= WINDOW);
        assert_eq!(tallies.add("a", 1, WINDOW), (4, true));
        tallies.settle("a", 3, Some(10));
        assert_eq!(tallies.add("a", 0, WINDOW), (11, false));
        assert_eq!(tallies.take("a").unwrap().0, 1);
        tallies.settle("a", 1, None);
        assert_eq!(tallies.add("a", 5, WINDOW), (16, true));
        tallies.keep_to_ourselves("a");
        assert_eq!(tallies.add("a", 0, WINDOW), (16, true));
        assert!(tallies.take("b").is_none());
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_than_its_room() {
        let tallies = Tallies::default();
        for number in 0..=TALLIES_MAX {
            tallies.add(&number.to_string(), 1, WINDOW);
        }
        assert_eq!(tallies.by_key().len(), 1);
    }
}
