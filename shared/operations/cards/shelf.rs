//! Cards that this process keeps, by the marks of their SKUs.
//!
//! A list looks a dozen of them up at once, each far away in memory. So there is one lock for all of a list, and nothing
//! between two look-ups that would keep the processor from waiting for several at a time.
use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::time::Instant;

use super::Card;

/// What an entry takes beside its text.
const ENTRY_BYTES: usize = 300;
/// Where there is too much, an eighth of all goes, another one each time: to know which were asked for least would make
/// every look-up dearer than reading those anew is.
const PARTS: u8 = 8;

/// A SKU in 128 bits: to compare two takes no look at text that lies far away. Another in each process.
pub type Mark = u128;

/// Makes marks. Clones make the same.
#[derive(Clone, Default)]
pub(super) struct Marks([RandomState; 2]);

impl Marks {
    pub(super) fn of(&self, sku: &str) -> Mark {
        let [high, low] = self.0.each_ref().map(|it| u128::from(it.hash_one(sku)));
        high << 64 | low
    }
}

/// A mark is a hash already.
#[derive(Default)]
struct ByMark(u64);

impl Hasher for ByMark {
    fn write(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<8>();
        self.0 = words.iter().fold(self.0, |sum, it| sum ^ u64::from_ne_bytes(*it));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What no product has, or none that is published, has no card.
pub type Found = Option<Arc<Card>>;

/// A card, or that there is none.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) card: Found,
    /// From then on it is read anew.
    pub(super) due: Instant,
    /// From then on it is not shown.
    pub(super) lapses: Instant,
}

impl Kept {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.card.as_ref().map_or(0, |it| it.bytes())
    }
}

/// What is kept, in so many bytes at most.
pub(super) struct Shelf {
    places: RwLock<Places>,
    most: usize,
}

#[derive(Default)]
struct Places {
    by_mark: HashMap<Mark, Kept, BuildHasherDefault<ByMark>>,
    bytes: usize,
    /// Which part goes next.
    turn: u8,
}

impl Shelf {
    pub(super) fn new(most: usize) -> Shelf {
        Shelf { places: RwLock::default(), most }
    }

    /// What is there and may be shown, in the order of these marks.
    pub(super) fn find(&self, marks: &[Mark], now: Instant) -> Vec<Option<Kept>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<&Kept>> = marks.iter().map(|mark| places.by_mark.get(mark)).collect();
        found.into_iter().map(|it| it.filter(|it| now < it.lapses).cloned()).collect()
    }

    pub(super) fn put(&self, mark: Mark, kept: Kept, now: Instant) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.bytes += kept.bytes();
        if let Some(before) = places.by_mark.insert(mark, kept) {
            places.bytes -= before.bytes();
        }
        if places.bytes <= self.most {
            return;
        }
        places.keep(|_, it| now < it.lapses);
        // Else the next one would have to look through all again.
        if places.bytes > self.most - self.most / usize::from(PARTS) {
            let turn = places.turn;
            places.turn = (turn + 1) % PARTS;
            places.keep(|mark, _| mark % u128::from(PARTS) != u128::from(turn));
        }
    }
}

impl Places {
    fn keep(&mut self, stays: impl Fn(Mark, &Kept) -> bool) {
        self.by_mark.retain(|mark, kept| stays(*mark, kept));
        self.bytes = self.by_mark.values().map(Kept::bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept(now: Instant, seconds: u64) -> Kept {
        let lapses = now + Duration::from_secs(seconds);
        Kept { card: None, due: lapses, lapses }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_lapsed_makes_room_first_and_then_a_part_of_all() {
        let (shelf, now) = (Shelf::new(800 * ENTRY_BYTES), Instant::now());
        let marks: Vec<Mark> = (0..1_700).collect();
        let there = |marks: &[Mark], now| shelf.find(marks, now).iter().flatten().count();
        marks[..800].iter().for_each(|mark| shelf.put(*mark, kept(now, 10), now));
        assert_eq!(there(&marks[..800], now), 800);
        let later = now + Duration::from_secs(10);
        assert_eq!(there(&marks[..800], later), 0, "what has lapsed is not shown");
        marks[800..1_600].iter().for_each(|mark| shelf.put(*mark, kept(later, 10), later));
        assert_eq!(there(&marks, later), 800);
        marks[800..1_600].iter().for_each(|mark| shelf.put(*mark, kept(later, 20), later));
        assert_eq!(there(&marks, later), 800, "another in its place takes no more room");
        marks[1_600..].iter().for_each(|mark| shelf.put(*mark, kept(later, 10), later));
        assert_eq!(there(&marks[..1_600], later), 700, "an eighth has made room once");
        assert_eq!(there(&marks[1_600..], later), 99);
    }

    #[test]
    fn marks_are_told_apart() {
        let marks = Marks::default();
        assert_eq!(marks.of("TENT"), marks.clone().of("TENT"));
        assert_ne!(marks.of("TENT"), marks.of("TENT-2"));
        assert_ne!(marks.of("TENT"), Marks::default().of("TENT"), "another process, other marks");
    }
}
