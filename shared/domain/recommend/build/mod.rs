//! Builds a model from sessions, in any order, in memory that grows with the distinct items and has a bound for the steps.
//!
//! What must stay true: the same sessions in the same order give the same bytes. Items are numbered by identifier and
//! sessions by the moment they ended, so a number says how recent a session is.
mod adapt;
mod content;
mod far;
mod first_stage;
mod lists;
mod log;
mod trend;

use std::collections::HashMap;

use super::{
    click::Click,
    index::{ITEM_WORDS, Layout, Posting, SECTIONS, SESSION_MAX, Section, assemble},
    params::{Params, count},
    score::Seen,
};
use content::Content;
use lists::Lists;
use log::Log;

/// Newest steps of a session that are kept; what is longer is no shopper, or says nothing more.
pub const STEPS_MAX: usize = 64;
/// Items that a model can hold: a step keeps two bits for what was done.
const ITEMS_MAX: usize = 1 << 30;

/// Sessions of an item that are kept at least, so that a model can be asked to look at more than it was built for.
const POSTINGS_MIN: usize = 400;
const NONE: u32 = u32::MAX;
const SECONDS_A_DAY: f32 = 86_400.0;

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Lists and popularity of what is asked for most: small, for the moment before the rest is there.
    First,
    Whole,
}

/// Collects sessions and what is known of items, then writes the file.
#[derive(Debug)]
pub struct Builder {
    params: Params,
    ids: HashMap<Box<str>, u32>,
    categories: HashMap<Box<str>, u32>,
    /// Category of an item, by its number on arrival.
    category: Vec<u32>,
    content: Content,
    log: Log,
    steps: Vec<u32>,
}

impl Builder {
    pub fn new(params: &Params) -> Builder {
        Builder {
            params: params.clone(),
            ids: HashMap::new(),
            categories: HashMap::new(),
            category: Vec::new(),
            content: Content::default(),
            log: Log::default(),
            steps: Vec::new(),
        }
    }

    /// Sessions so far.
    pub fn sessions(&self) -> usize {
        self.log.sessions()
    }

    /// Whether the item was described, or is in a session.
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// One session: its clicks, oldest first, and when it ended, in seconds since 1970. A click on the item before
    /// only strengthens that. Answers whether it is kept, which takes two items.
    pub fn add<'a>(&mut self, ended: u32, clicks: impl IntoIterator<Item = Click<'a>>) -> bool {
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        for click in clicks {
            let Some(item) = self.number(click.item) else { continue };
            match steps.last_mut() {
                Some(last) if *last >> 2 == item => *last = item << 2 | (*last & 3).max(click.kind.code()),
                _ => steps.push(item << 2 | click.kind.code()),
            }
        }
        let newest = &steps[steps.len().saturating_sub(STEPS_MAX)..];
        if !newest.is_empty() {
            self.log.add(ended, newest);
        }
        let kept = newest.len() > 1;
        self.steps = steps;
        kept
    }

    /// What the catalogue says of an item: its category and the words that describe it.
    pub fn describe<'a>(&mut self, id: &str, category: &str, words: impl IntoIterator<Item = &'a str>) {
        let Some(item) = self.number(id) else { return };
        let next = self.categories.len() as u32;
        let number = self.categories.get(category).copied().unwrap_or_else(|| {
            self.categories.insert(category.into(), next);
            next
        });
        self.category[item as usize] = number;
        self.content.describe(item, words);
    }

    fn number(&mut self, id: &str) -> Option<u32> {
        if let Some(known) = self.ids.get(id) {
            return Some(*known);
        }
        let next = self.ids.len();
        if next >= ITEMS_MAX || id.is_empty() {
            return None;
        }
        self.ids.insert(id.into(), next as u32);
        self.category.push(NONE);
        Some(next as u32)
    }

    /// The file, to be asked with the parameters that the builder was given.
    pub fn finish(self, stage: Stage) -> Vec<u8> {
        let params = self.params.clone();
        self.files(&params, &params, false, &[stage]).pop().unwrap_or_default()
    }

    /// The file, to be asked with parameters fitted to its newest sessions, from the defaults on.
    pub fn finish_fitted(self) -> Vec<u8> {
        let params = self.params.clone();
        self.files(&params, &Params::novel(), true, &[Stage::Whole]).pop().unwrap_or_default()
    }

    /// The file, and the small one for the moment before it is there, both fitted.
    pub fn finish_both(self) -> Option<(Vec<u8>, Vec<u8>)> {
        let params = self.params.clone();
        let files = self.files(&params, &Params::novel(), true, &[Stage::Whole, Stage::First]);
        let [whole, first] = <[Vec<u8>; 2]>::try_from(files).ok()?;
        Some((whole, first))
    }

    fn files(self, shown: &Params, novel: &Params, fit: bool, stages: &[Stage]) -> Vec<Vec<u8>> {
        let mut ids: Vec<(Box<str>, u32)> = self.ids.into_iter().collect();
        ids.sort_unstable();
        let mut number = vec![0_u32; ids.len()];
        for (new, (_, old)) in ids.iter().enumerate() {
            number[*old as usize] = new as u32;
        }
        let mut category = vec![NONE; ids.len()];
        for (old, new) in number.iter().enumerate() {
            category[*new as usize] = self.category[old];
        }
        let log = self.log.ordered(&number, SESSION_MAX);
        let mut names: Vec<(u32, Box<str>)> = self.categories.into_iter().map(|(name, it)| (it, name)).collect();
        names.sort_unstable();
        let content = self.content.renumbered(&number);
        let catalogue = Catalogue { ids: &ids, category: &category, categories: &names };
        let mut asked = [shown.clone(), novel.clone()];
        let judges = if fit { adapt::judges(&log) } else { 0 };
        if judges > 0 {
            let mut earlier = log.clone();
            let sessions = earlier.split_newest(judges);
            let file = assemble(&parts(&catalogue, &earlier, &content, shown, &asked));
            if let Ok(layout) = Layout::read(&file) {
                let model = layout.model(&file);
                asked = [
                    adapt::fitted(&model, &sessions, shown, Seen::Shown),
                    adapt::fitted(&model, &sessions, novel, Seen::Hidden),
                ];
            }
        }
        let whole = parts(&catalogue, &log, &content, shown, &asked);
        let file = |stage: &Stage| match stage {
            Stage::Whole => assemble(&whole),
            Stage::First => assemble(&first_stage::of(&whole)),
        };
        stages.iter().map(file).collect()
    }
}

/// Items and categories by their final numbers.
struct Catalogue<'a> {
    ids: &'a [(Box<str>, u32)],
    category: &'a [u32],
    categories: &'a [(u32, Box<str>)],
}

fn parts(
    catalogue: &Catalogue<'_>,
    log: &log::Ordered,
    content: &Content,
    params: &Params,
    asked: &[Params; 2],
) -> [Vec<u8>; SECTIONS] {
    let items = catalogue.ids.len();
    let mut parts: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
    let mut put = |section: Section, bytes: Vec<u8>| parts[section as usize] = bytes;
    let (ends, bytes) = texts(catalogue.ids.iter().map(|(id, _)| &**id));
    put(Section::Params, asked.iter().flat_map(Params::values).flat_map(f32::to_le_bytes).collect());
    put(Section::Slots, slots(catalogue.ids));
    put(Section::IdEnds, ends);
    put(Section::Ids, bytes);
    let (ends, bytes) = texts(catalogue.categories.iter().map(|(_, name)| &**name));
    put(Section::CategoryEnds, ends);
    put(Section::Categories, bytes);

    let postings = log.postings(items);
    let heat = trend::heat(log, items, trend::POPULARITY_DAYS);
    let alike = content.alike(catalogue.category);
    let (follow, norms) = lists::follow(log, &postings, params);
    let follow = content::borrowed(&follow, &alike, &postings, count(params.list_length));
    let most = heat.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mut records = Vec::with_capacity(items * ITEM_WORDS * 4);
    for item in 0..items {
        records.extend_from_slice(&postings.count(item).to_le_bytes());
        records.extend_from_slice(&(heat[item] / most).to_le_bytes());
        records.extend_from_slice(&catalogue.category[item].to_le_bytes());
        records.extend_from_slice(&norms[item].to_le_bytes());
    }
    put(Section::Items, records);
    let mut put_lists = |ends, all, lists: &Lists| {
        let (these, those) = lists.bytes();
        parts[ends as usize] = these;
        parts[all as usize] = those;
    };
    put_lists(Section::FollowEnds, Section::Follow, &follow);
    put_lists(Section::AlikeEnds, Section::Alike, &alike);
    put_lists(Section::BoughtEnds, Section::Bought, &lists::bought(log, &postings));
    put_lists(Section::BasketEnds, Section::Basket, &lists::basket(log, &postings));
    let trending = trend::lists(log, catalogue.category, catalogue.categories.len());
    put_lists(Section::TrendEnds, Section::Trend, &trending);
    let far = far::far(&follow, &norms, params.list_norm);
    (parts[Section::FarEnds as usize], parts[Section::Far as usize]) = far.short_bytes();
    let kept = log.kept();
    let shift = (0..31).find(|it| kept >> it < log::AGE_BUCKETS).unwrap_or(31);
    let (returns, norm) = (log.returns().to_bits(), params.list_norm.to_bits());
    parts[Section::Facts as usize] = numbers([kept as u32, log.newest(), postings.events(), shift, returns, norm]);
    let most = count(params.recent).max(POSTINGS_MIN);
    (parts[Section::PostingEnds as usize], parts[Section::Postings as usize]) = postings.bytes(items, most);
    (parts[Section::SessionEnds as usize], parts[Section::Sessions as usize]) = log.bytes();
    parts[Section::Ages as usize] = log.ages(shift);
    parts
}

fn numbers(all: impl IntoIterator<Item = u32>) -> Vec<u8> {
    all.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Ends and bytes of texts.
fn texts<'a>(all: impl Iterator<Item = &'a str>) -> (Vec<u8>, Vec<u8>) {
    let (mut ends, mut bytes) = (numbers([0]), Vec::new());
    for text in all {
        bytes.extend_from_slice(text.as_bytes());
        ends.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    (ends, bytes)
}

/// The hash table of identifiers, at most half full.
fn slots(ids: &[(Box<str>, u32)]) -> Vec<u8> {
    let size = (ids.len() * 2 + 2).next_power_of_two();
    let mut slots = vec![NONE; size];
    for (item, (id, _)) in ids.iter().enumerate() {
        let mut at = super::hash::xxh64(id.as_bytes()) as usize & (size - 1);
        while slots[at] != NONE {
            at = (at + 1) & (size - 1);
        }
        slots[at] = item as u32;
    }
    numbers(slots)
}

/// Days from then to now.
fn days(newest: u32, ended: u32) -> f32 {
    newest.saturating_sub(ended) as f32 / SECONDS_A_DAY
}

/// A posting of a session.
fn posting(session: usize, steps: &[u32]) -> Posting {
    let kind = steps.iter().map(|it| it & 3).max().unwrap_or(0);
    Posting::new(session as u32, steps.len(), super::click::Kind::of(kind))
}
