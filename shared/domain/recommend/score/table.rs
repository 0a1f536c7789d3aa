//! A small hash table from numbers to sums, emptied in no time and walked in the order of insertion.

/// What a table keeps under a number.
pub(crate) trait Slot: Copy {
    fn new(key: u32) -> Self;
    fn key(&self) -> u32;
}

/// A session that shares items with the one at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbour {
    pub(crate) session: u32,
    pub(crate) similarity: f32,
    /// Length and kind, as its postings say.
    pub(crate) class: u8,
    /// Position in the context of the newest shared item.
    pub(crate) shared: u8,
}

impl Slot for Neighbour {
    fn new(session: u32) -> Neighbour {
        Neighbour { session, similarity: 0.0, class: 0, shared: 0 }
    }

    fn key(&self) -> u32 {
        self.session
    }
}

/// An item that may be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) item: u32,
    /// Times the item's rarity, once all are gathered.
    pub(crate) by_sessions: f32,
    pub(crate) by_lists: f32,
    /// Position in the context of the item that brought it in first.
    pub(crate) source: u8,
    /// 1 + position in the session, newest first; 0 if it was not seen.
    pub(crate) seen: u8,
    /// How often it was seen.
    pub(crate) times: u8,
    /// Whether it was seen just before an earlier look at the item at hand.
    pub(crate) back: bool,
}

impl Slot for Candidate {
    fn new(item: u32) -> Candidate {
        Candidate { item, by_sessions: 0.0, by_lists: 0.0, source: 0, seen: 0, times: 0, back: false }
    }

    fn key(&self) -> u32 {
        self.item
    }
}

/// Open addressing into a list of entries; a place counts only if it bears the present round.
#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<(u32, u32)>,
    round: u32,
    entries: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { places: Vec::new(), round: 0, entries: Vec::new() }
    }
}

const PLACES_MIN: usize = 256;

impl<T: Slot> Table<T> {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.places.is_empty() {
            self.places.clear();
            self.places.resize(PLACES_MIN, (0, 0));
            self.round = 1;
        }
    }

    /// The entry of a number, new if there is none yet; and whether it is.
    #[inline]
    pub(crate) fn entry(&mut self, key: u32) -> (&mut T, bool) {
        if self.entries.len() * 2 >= self.places.len() {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut at = start(key) & mask;
        loop {
            let (round, number) = self.places[at];
            if round != self.round {
                self.places[at] = (self.round, self.entries.len() as u32);
                self.entries.push(T::new(key));
                let last = self.entries.len() - 1;
                return (&mut self.entries[last], true);
            }
            if self.entries[number as usize].key() == key {
                return (&mut self.entries[number as usize], false);
            }
            at = (at + 1) & mask;
        }
    }

    pub(crate) fn entries(&self) -> &[T] {
        &self.entries
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(PLACES_MIN);
        self.places.clear();
        self.places.resize(size, (0, 0));
        self.round = 1;
        for (number, entry) in self.entries.iter().enumerate() {
            let mut at = start(entry.key()) & (size - 1);
            while self.places[at].0 == 1 {
                at = (at + 1) & (size - 1);
            }
            self.places[at] = (1, number as u32);
        }
    }
}

/// Fibonacci hashing: the high bits of the product are well mixed.
fn start(key: u32) -> usize {
    (u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_counts_and_forgets() {
        let mut table = Table::<Candidate>::default();
        for round in 0..3 {
            table.clear();
            for number in 0..5_000_u32 {
                let (entry, new) = table.entry((number % 1_000).wrapping_mul(2_654_435_761));
                entry.by_lists += 1.0;
                assert_eq!(new, number < 1_000, "{round} {number}");
            }
            assert_eq!(table.entries().len(), 1_000);
            assert!(table.entries().iter().all(|it| it.by_lists == 5.0));
        }
    }
}
