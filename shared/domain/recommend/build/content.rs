//! What is described alike, for items that nobody has looked at yet.
use std::collections::HashMap;

use super::{
    super::{
        index::Entry,
        score::{Slot, Table},
    },
    NONE,
    lists::{Lists, heaviest},
    log::Postings,
};

/// A word of more items than this describes none of them.
const WORD_ITEMS_MAX: usize = 1_000;
/// Words of an item that are looked at.
const WORDS_MAX: usize = 32;
const ALIKE_MAX: usize = 20;
/// What an item of another category counts.
const OTHER_CATEGORY: f32 = 0.3;
/// An item in fewer sessions than this borrows from those it is like.
const COLD_SESSIONS: u32 = 3;
const LENDERS: usize = 5;
/// What a lender itself counts in the borrowed list, beside the heaviest of its own.
const LENDER_WEIGHT: f32 = 1.0;

/// Words of items.
#[derive(Debug, Default)]
pub(super) struct Content {
    words: HashMap<Box<str>, u32>,
    items: Vec<(u32, Vec<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Likeness {
    item: u32,
    shared: f32,
}

impl Slot for Likeness {
    fn new(item: u32) -> Likeness {
        Likeness { item, shared: 0.0 }
    }

    fn key(&self) -> u32 {
        self.item
    }
}

impl Content {
    pub(super) fn describe<'a>(&mut self, item: u32, words: impl IntoIterator<Item = &'a str>) {
        let mut found = Vec::new();
        for word in words.into_iter().take(WORDS_MAX) {
            let next = self.words.len() as u32;
            let number = *self.words.entry(word.to_lowercase().into()).or_insert(next);
            if !found.contains(&number) {
                found.push(number);
            }
        }
        self.items.push((item, found));
    }

    pub(super) fn renumbered(mut self, number: &[u32]) -> Content {
        for (item, _) in &mut self.items {
            *item = number[*item as usize];
        }
        // Whoever is described twice is what was said last.
        self.items.reverse();
        self.items.sort_by_key(|(item, _)| *item);
        self.items.dedup_by_key(|(item, _)| *item);
        self
    }

    /// The items that share the rarest words, those of the same category first.
    pub(super) fn alike(&self, category: &[u32]) -> Lists {
        let mut of_word = vec![Vec::new(); self.words.len()];
        for (item, words) in &self.items {
            for word in words {
                of_word[*word as usize].push(*item);
            }
        }
        let all = self.items.len() as f32;
        let rarity = |word: u32| (1.0 + all / of_word[word as usize].len().max(1) as f32).ln();
        let mut weights = vec![0.0; category.len()];
        for (item, words) in &self.items {
            weights[*item as usize] = words.iter().map(|it| rarity(*it)).sum::<f32>();
        }
        let (mut lists, mut table, mut described) = (Lists::new(), Table::<Likeness>::default(), self.items.iter());
        let mut next = described.next();
        for item in 0..category.len() as u32 {
            table.clear();
            if let Some((_, words)) = next.filter(|(it, _)| *it == item) {
                next = described.next();
                for word in words.iter().filter(|it| of_word[**it as usize].len() <= WORD_ITEMS_MAX) {
                    for other in of_word[*word as usize].iter().filter(|it| **it != item) {
                        table.entry(*other).0.shared += rarity(*word);
                    }
                }
            }
            let weigh = |it: &Likeness| {
                let (one, other) = (item as usize, it.item as usize);
                let same = category[one] != NONE && category[one] == category[other];
                let likeness = it.shared / (weights[one] + weights[other] - it.shared).max(f32::MIN_POSITIVE);
                Entry { item: it.item, weight: likeness * if same { 1.0 } else { OTHER_CATEGORY } }
            };
            let mut list: Vec<Entry> = table.entries().iter().map(weigh).collect();
            heaviest(&mut list, ALIKE_MAX);
            lists.push(list);
        }
        lists
    }
}

/// The lists with those of cold items filled up by what they are like, and by what follows that.
pub(super) fn borrowed(follow: &Lists, alike: &Lists, postings: &Postings, most: usize) -> Lists {
    let (mut lists, mut table) = (Lists::new(), Table::<Likeness>::default());
    for item in 0..postings.items() {
        let own = follow.of(item);
        let lenders = alike.of(item);
        let lenders = &lenders[..lenders.len().min(LENDERS)];
        if postings.count(item) >= COLD_SESSIONS || lenders.is_empty() {
            lists.push(own.iter().copied());
            continue;
        }
        table.clear();
        for entry in own {
            table.entry(entry.item).0.shared += entry.weight;
        }
        let share = 1.0 / lenders.len() as f32;
        for lender in lenders {
            let list = follow.of(lender.item as usize);
            let most = list.first().map_or(LENDER_WEIGHT, |it| it.weight);
            table.entry(lender.item).0.shared += share * most * LENDER_WEIGHT;
            for entry in list.iter().filter(|it| it.item != item as u32) {
                table.entry(entry.item).0.shared += share * entry.weight;
            }
        }
        let mut list: Vec<Entry> =
            table.entries().iter().map(|it| Entry { item: it.item, weight: it.shared }).collect();
        heaviest(&mut list, most);
        lists.push(list);
    }
    lists
}
