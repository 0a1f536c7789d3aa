//! What can be asked of an open model. Every number read from the file is checked where it is used as an index.
use super::{
    super::{
        click::Kind,
        hash::xxh64,
        params::{FIELDS, Params},
        score::Seen,
    },
    Section,
};

type Words<'a> = &'a [[u8; 4]];

/// Words of an item's record: sessions that hold it, popularity, category, sum of its list.
pub(crate) const ITEM_WORDS: usize = 4;
/// Sessions that a model can hold: a posting keeps six bits for what is looked at first, and one for an overlay.
pub(crate) const SESSION_MAX: usize = 1 << 25;

/// The number of an item in one model, in the order of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item(pub u32);

/// One session of an item: its number, how long it is, and the strongest thing done in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting(pub(crate) u32);

impl Posting {
    /// Lengths in 16 classes; what is longer than the last counts as that.
    const LENGTHS: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 19, 24, 32, 44, 64];

    pub(crate) fn new(session: u32, length: usize, kind: Kind) -> Posting {
        let class = Self::LENGTHS.partition_point(|it| *it < length).min(15);
        Posting(session << 6 | kind.code() << 4 | class as u32)
    }

    pub(crate) const fn session(self) -> u32 {
        self.0 >> 6
    }

    /// Of an overlay.
    pub(crate) const fn marked(self) -> Posting {
        Posting(self.0 | (SESSION_MAX as u32) << 6)
    }

    pub(crate) const fn kind(self) -> Kind {
        Kind::of(self.0 >> 4 & 3)
    }

    /// Of length and kind, as an index below 64.
    pub(crate) const fn class(self) -> usize {
        (self.0 & 63) as usize
    }

    /// The length that a class stands for.
    pub(crate) const fn length(class: usize) -> usize {
        Self::LENGTHS[class & 15]
    }
}

/// One item of a list with its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) item: u32,
    pub(crate) weight: f32,
}

/// Exponent of the least weight that five bytes hold, as a float has it: two to the power of -24.
const SHORT_MIN: u32 = 103 << 3;

impl Entry {
    /// In five bytes: the weight by its power of two, up to the seventh, and three bits more. It is read back within a
    /// sixteenth.
    pub(crate) fn short(self) -> [u8; 5] {
        let [a, b, c, d] = self.item.to_le_bytes();
        [a, b, c, d, (self.weight.to_bits() >> 20).saturating_sub(SHORT_MIN).min(255) as u8]
    }

    fn of_short([a, b, c, d, weight]: [u8; 5]) -> Entry {
        let bits = (u32::from(weight) + SHORT_MIN) << 20 | 1 << 19;
        Entry { item: u32::from_le_bytes([a, b, c, d]), weight: f32::from_bits(bits) }
    }
}

/// Lists of variable length: where each ends, and all of them one after the other.
#[derive(Clone, Copy, Debug)]
struct Rows<'a, T> {
    ends: Words<'a>,
    all: &'a [T],
}

impl<'a, T> Rows<'a, T> {
    fn row(&self, number: u32) -> &'a [T] {
        let at = number as usize;
        let end = |it: usize| self.ends.get(it).map_or(0, |it| u32::from_le_bytes(*it) as usize);
        self.all.get(end(at)..end(at + 1)).unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }
}

/// A view of the file; copying it copies no data.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    facts: Words<'a>,
    params: Words<'a>,
    ids: Rows<'a, u8>,
    slots: Words<'a>,
    items: &'a [[u8; 16]],
    postings: Rows<'a, [u8; 4]>,
    sessions: Rows<'a, [u8; 4]>,
    ages: Words<'a>,
    follow: Rows<'a, [u8; 8]>,
    far: Rows<'a, [u8; 5]>,
    bought: Rows<'a, [u8; 8]>,
    basket: Rows<'a, [u8; 8]>,
    alike: Rows<'a, [u8; 8]>,
    trend: Rows<'a, [u8; 8]>,
    categories: Rows<'a, u8>,
}

fn words(bytes: &[u8]) -> Words<'_> {
    bytes.as_chunks().0
}

fn entries(row: &[[u8; 8]]) -> impl Iterator<Item = Entry> + '_ {
    row.iter().map(|it| {
        let [a, b, c, d, w, x, y, z] = *it;
        Entry { item: u32::from_le_bytes([a, b, c, d]), weight: f32::from_le_bytes([w, x, y, z]) }
    })
}

impl<'a> Model<'a> {
    pub(crate) fn new(part: impl Fn(Section) -> &'a [u8]) -> Model<'a> {
        let lists = |ends, all| Rows { ends: words(part(ends)), all: part(all).as_chunks().0 };
        let texts = |ends, all| Rows { ends: words(part(ends)), all: part(all) };
        let numbers = |ends, all| Rows { ends: words(part(ends)), all: words(part(all)) };
        Model {
            facts: words(part(Section::Facts)),
            params: words(part(Section::Params)),
            ids: texts(Section::IdEnds, Section::Ids),
            slots: words(part(Section::Slots)),
            items: part(Section::Items).as_chunks().0,
            postings: numbers(Section::PostingEnds, Section::Postings),
            sessions: numbers(Section::SessionEnds, Section::Sessions),
            ages: words(part(Section::Ages)),
            follow: lists(Section::FollowEnds, Section::Follow),
            far: Rows { ends: words(part(Section::FarEnds)), all: part(Section::Far).as_chunks().0 },
            bought: lists(Section::BoughtEnds, Section::Bought),
            basket: lists(Section::BasketEnds, Section::Basket),
            alike: lists(Section::AlikeEnds, Section::Alike),
            trend: lists(Section::TrendEnds, Section::Trend),
            categories: texts(Section::CategoryEnds, Section::Categories),
        }
    }

    /// A model of nothing.
    pub fn empty() -> Model<'a> {
        Model::new(|_| &[])
    }

    /// Whether the parts have lengths that fit each other.
    pub(super) fn is_whole(&self) -> bool {
        let items = self.items.len();
        let per_item = [&self.follow.ends, &self.far.ends, &self.bought.ends, &self.basket.ends, &self.alike.ends];
        self.facts.len() == 6
            && self.ids.count() == items
            && (self.slots.len().is_power_of_two() && self.slots.len() > items)
            && (self.postings.ends.is_empty() || self.postings.count() == items)
            && per_item.iter().all(|it| it.is_empty() || it.len() == items + 1)
            && self.trend.count() == self.categories.count() + 1
    }

    fn fact(&self, number: usize) -> u32 {
        self.facts.get(number).map_or(0, |it| u32::from_le_bytes(*it))
    }

    /// Items in the model.
    pub fn items(&self) -> u32 {
        self.items.len() as u32
    }

    /// Sessions in the model.
    pub fn sessions(&self) -> u32 {
        self.sessions.count() as u32
    }

    /// Sessions that were counted, whether or not they are kept.
    pub(crate) fn sessions_counted(&self) -> u32 {
        self.fact(0)
    }

    /// When its newest session ended, in seconds since 1970.
    pub fn newest(&self) -> u32 {
        self.fact(1)
    }

    /// Item events in distinct sessions.
    pub(crate) fn events(&self) -> u32 {
        self.fact(2)
    }

    /// Share of steps that go back to what their session has seen.
    pub(crate) fn returns(&self) -> f32 {
        f32::from_bits(self.fact(4)).clamp(0.0, 1.0)
    }

    /// Sessions are kept by age in buckets of two to this power.
    pub(crate) fn age_shift(&self) -> u32 {
        self.fact(3).min(31)
    }

    pub(crate) fn ages(&self) -> impl Iterator<Item = f32> + '_ {
        self.ages.iter().map(|it| f32::from_le_bytes(*it))
    }

    /// Parameters that it was fitted with, for what is new to a session or for all.
    pub fn params(&self, seen: Seen) -> Params {
        let (mut params, from) = match seen {
            Seen::Hidden => (Params::novel(), FIELDS.len()),
            Seen::Shown | Seen::Only => (Params::default(), 0),
        };
        let words = self.params.get(from..).unwrap_or_default();
        for ((_, field), word) in FIELDS.iter().zip(words) {
            let value = f32::from_le_bytes(*word);
            if Params::is_valid(value) {
                *field(&mut params) = value;
            }
        }
        params
    }

    /// The item of this identifier.
    pub fn find(&self, id: &str) -> Option<Item> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = xxh64(id.as_bytes()) as usize & mask;
        // A damaged table has no empty slot: nothing is looked at twice.
        for _ in 0..self.slots.len() {
            let item = u32::from_le_bytes(*self.slots.get(at)?);
            if item == u32::MAX {
                return None;
            }
            if self.ids.row(item) == id.as_bytes() {
                return Some(Item(item));
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// The identifier of an item; empty if there is none.
    pub fn id(&self, item: Item) -> &'a str {
        std::str::from_utf8(self.ids.row(item.0)).unwrap_or_default()
    }

    fn item_word(&self, item: u32, word: usize) -> [u8; 4] {
        let record = self.items.get(item as usize).copied().unwrap_or_default();
        let (words, _) = record.as_chunks::<4>();
        words.get(word).copied().unwrap_or_default()
    }

    /// Sessions that hold the item.
    pub(crate) fn count(&self, item: u32) -> u32 {
        u32::from_le_bytes(self.item_word(item, 0))
    }

    /// Popularity of late, of at most 1.
    pub(crate) fn heat(&self, item: u32) -> f32 {
        f32::from_le_bytes(self.item_word(item, 1))
    }

    /// The number of the item's category.
    pub(crate) fn category(&self, item: u32) -> Option<u32> {
        let found = u32::from_le_bytes(self.item_word(item, 2));
        ((found as usize) < self.categories.count()).then_some(found)
    }

    /// Power by which full lists count less: a list was multiplied by its sum to minus this.
    pub(crate) fn list_norm(&self) -> f32 {
        f32::from_bits(self.fact(5))
    }

    /// 1 and the counts of the item's list, before it was cut.
    pub(crate) fn list_sum(&self, item: u32) -> f32 {
        1.0 + f32::from_le_bytes(self.item_word(item, 3)).max(0.0)
    }

    /// Sessions of the item, newest first.
    pub(crate) fn postings(&self, item: u32) -> impl Iterator<Item = Posting> + use<'a> {
        self.postings.row(item).iter().map(|it| Posting(u32::from_le_bytes(*it)))
    }

    /// Items of a session, oldest first.
    pub(crate) fn session(&self, number: u32) -> impl DoubleEndedIterator<Item = u32> + Clone + use<'a> {
        self.steps(number).map(|it| u32::from_le_bytes(*it))
    }

    /// Items of a session as the file has them.
    pub(crate) fn steps(&self, number: u32) -> std::slice::Iter<'a, [u8; 4]> {
        self.sessions.row(number).iter()
    }

    /// What comes around the item in sessions, heaviest first.
    pub(crate) fn follow(&self, item: u32) -> impl Iterator<Item = Entry> + use<'a> {
        entries(self.follow.row(item))
    }

    /// What follows what follows the item, heaviest first; nothing in a first-stage file.
    pub(crate) fn far(&self, item: u32) -> impl ExactSizeIterator<Item = Entry> + use<'a> {
        self.far.row(item).iter().map(|it| Entry::of_short(*it))
    }

    /// What is bought with the item.
    pub(crate) fn bought(&self, item: u32) -> impl Iterator<Item = Entry> + use<'a> {
        entries(self.bought.row(item))
    }

    /// What lies in the same baskets.
    pub(crate) fn basket(&self, item: u32) -> impl Iterator<Item = Entry> + use<'a> {
        entries(self.basket.row(item))
    }

    /// What is described alike.
    pub(crate) fn alike(&self, item: u32) -> impl Iterator<Item = Entry> + use<'a> {
        entries(self.alike.row(item))
    }

    /// What is asked for of late, in the whole shop or in a category.
    pub(crate) fn trend(&self, category: Option<u32>) -> impl Iterator<Item = Entry> + use<'a> {
        entries(self.trend.row(category.map_or(0, |it| it.saturating_add(1))))
    }

    pub(crate) fn categories(&self) -> u32 {
        self.categories.count() as u32
    }

    /// The number of a category.
    pub fn find_category(&self, name: &str) -> Option<u32> {
        (0..self.categories()).find(|it| self.categories.row(*it) == name.as_bytes())
    }

    /// A category by its number.
    pub fn category_name(&self, number: u32) -> &'a str {
        std::str::from_utf8(self.categories.row(number)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_of_five_bytes_is_read_back_within_a_sixteenth() {
        for weight in [1e-7_f32, 0.003, 0.11, 0.999, 1.0, 1.5, 77.7, 255.0] {
            let read = Entry::of_short(Entry { item: 0x0102_0304, weight }.short());
            assert_eq!(read.item, 0x0102_0304);
            assert!((read.weight / weight - 1.0).abs() <= 1.0 / 16.0, "{weight} {read:?}");
        }
        for (weight, within) in [(0.0, 0.0..1e-7), (1e9, 200.0..300.0), (f32::INFINITY, 200.0..300.0)] {
            let read = Entry::of_short(Entry { item: 1, weight }.short());
            assert!(within.contains(&read.weight), "{weight} {read:?}");
        }
    }
}
