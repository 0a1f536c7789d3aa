//! Lists of items for an item: what comes around it in sessions, what is bought with it, what shares its baskets.
use super::{
    super::{
        index::Entry,
        params::{Params, count},
        score::{Slot, Table},
    },
    log::{Ordered, Postings},
    numbers,
};

/// Newest sessions of an item that its lists are made from; more says nothing new and costs squares.
const SESSIONS_MAX: usize = 2_000;
/// Longest lists of what is bought together.
const TOGETHER_MAX: usize = 50;
/// Purchases that two items must share before it is no accident.
const SUPPORT_MIN: f32 = 3.0;
const TOGETHER_DAYS: f32 = 90.0;
/// Power by which what everybody buys counts less.
const POPULARITY_POWER: f32 = -0.3;
const CART: u32 = 1;
const PURCHASE: u32 = 2;

/// A list for each item.
#[derive(Debug, Default)]
pub(super) struct Lists {
    ends: Vec<u32>,
    entries: Vec<Entry>,
}

impl Lists {
    pub(super) fn new() -> Lists {
        Lists { ends: vec![0], entries: Vec::new() }
    }

    pub(super) fn push(&mut self, list: impl IntoIterator<Item = Entry>) {
        self.entries.extend(list);
        self.ends.push(self.entries.len() as u32);
    }

    pub(super) fn of(&self, item: usize) -> &[Entry] {
        &self.entries[self.ends[item] as usize..self.ends[item + 1] as usize]
    }

    /// As the file holds them.
    pub(super) fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let entry = |it: &Entry| [it.item.to_le_bytes(), it.weight.to_le_bytes()].concat();
        (numbers(self.ends.iter().copied()), self.entries.iter().flat_map(entry).collect())
    }

    /// With weights that are about right.
    pub(super) fn short_bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let short = |it: &Entry| it.short();
        (numbers(self.ends.iter().copied()), self.entries.iter().flat_map(short).collect())
    }
}

/// A sum over the sessions of one item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    item: u32,
    weight: f32,
    sessions: f32,
}

impl Slot for Sum {
    fn new(item: u32) -> Sum {
        Sum { item, weight: 0.0, sessions: 0.0 }
    }

    fn key(&self) -> u32 {
        self.item
    }
}

/// The heaviest entries, equal ones by number.
pub(super) fn heaviest(entries: &mut Vec<Entry>, most: usize) {
    entries.sort_unstable_by(|one, other| other.weight.total_cmp(&one.weight).then(one.item.cmp(&other.item)));
    entries.truncate(most);
}

/// What comes around an item, nearer and newer counting more; and the sum of each before it is cut.
pub(super) fn follow(log: &Ordered, postings: &Postings, params: &Params) -> (Lists, Vec<f32>) {
    let (reach, most) = (count(params.list_reach).max(1), count(params.list_length));
    let by_distance: Vec<f32> = (0..=reach).map(|it| (it.max(1) as f32).powf(-params.list_distance)).collect();
    let (mut lists, mut totals, mut sums) = (Lists::new(), Vec::new(), Table::<Sum>::default());
    let mut list = Vec::new();
    let rare = |item: u32| {
        let share = log.kept() as f32 / postings.count(item as usize).max(1) as f32;
        if params.list_rarity > 0.0 { share.ln().max(0.01).powf(params.list_rarity) } else { 1.0 }
    };
    for item in 0..postings.items() {
        sums.clear();
        for session in postings.of(item).iter().rev().take(SESSIONS_MAX).map(|it| it >> 6) {
            let age = log.age_days(session);
            let new = if params.list_age_days > 0.0 { (-age / params.list_age_days).exp() } else { 1.0 };
            around(log.session(session), item as u32, reach, |other, after, distance| {
                let share = if after { 1.0 } else { params.list_backward };
                sums.entry(other).0.weight += new * share * by_distance[distance];
            });
        }
        let sum: f32 = sums.entries().iter().map(|it| it.weight).sum();
        let norm = (sum + 1.0).powf(-params.list_norm);
        list.clear();
        let weigh = |it: &Sum| Entry { item: it.item, weight: it.weight * norm * rare(it.item) };
        list.extend(sums.entries().iter().map(weigh));
        heaviest(&mut list, most);
        lists.push(list.iter().copied());
        totals.push(sum);
    }
    (lists, totals)
}

/// Calls with each other item near each place of `item`, whether it came after, and how far.
fn around(steps: &[u32], item: u32, reach: usize, mut tell: impl FnMut(u32, bool, usize)) {
    for at in (0..steps.len()).filter(|at| steps[*at] >> 2 == item) {
        let to = (at + reach).min(steps.len() - 1);
        for (place, step) in steps.iter().enumerate().take(to + 1).skip(at.saturating_sub(reach)) {
            if step >> 2 != item {
                tell(step >> 2, place > at, place.abs_diff(at));
            }
        }
    }
}

/// Items of a session that were at least put in the cart, each once.
fn goods(steps: &[u32], at_least: u32) -> Vec<u32> {
    let mut goods: Vec<u32> = steps.iter().filter(|it| *it & 3 >= at_least).map(|it| it >> 2).collect();
    goods.sort_unstable();
    goods.dedup();
    goods
}

/// Sums over the sessions in which both were bought, or put in the cart; `weight` is by age and size of the basket.
fn together(
    log: &Ordered,
    postings: &Postings,
    at_least: u32,
    weight: impl Fn(f32, usize) -> f32,
    mut finish: impl FnMut(u32, &Sum) -> Option<f32>,
) -> Lists {
    let (mut lists, mut sums, mut list) = (Lists::new(), Table::<Sum>::default(), Vec::new());
    for item in 0..postings.items() {
        sums.clear();
        for posting in postings.of(item).iter().rev().filter(|it| *it >> 4 & 3 >= at_least).take(SESSIONS_MAX) {
            let goods = goods(log.session(posting >> 6), at_least);
            if goods.binary_search(&(item as u32)).is_err() {
                continue;
            }
            let weight = weight(log.age_days(posting >> 6), goods.len());
            for other in goods.iter().filter(|it| **it != item as u32) {
                let (sum, _) = sums.entry(*other);
                sum.weight += weight;
                sum.sessions += 1.0;
            }
        }
        list.clear();
        let entry = |it: &Sum| Some(Entry { item: it.item, weight: finish(item as u32, it)? });
        list.extend(sums.entries().iter().filter_map(entry));
        heaviest(&mut list, TOGETHER_MAX);
        lists.push(list.iter().copied());
    }
    lists
}

/// Purchases that hold each item.
fn counts(log: &Ordered, postings: &Postings, at_least: u32) -> Vec<f32> {
    let mut counts = vec![0.0; postings.items()];
    for session in 0..log.kept() {
        for item in goods(log.session(session as u32), at_least) {
            counts[item as usize] += 1.0;
        }
    }
    counts
}

/// What is bought with an item: newer and smaller purchases count more, what everybody buys counts less.
pub(super) fn bought(log: &Ordered, postings: &Postings) -> Lists {
    let counts = counts(log, postings, PURCHASE);
    let weight = |age: f32, size: usize| (-age / TOGETHER_DAYS).exp() / (1.0 + size as f32).log2();
    together(log, postings, PURCHASE, weight, |_, sum| {
        let popularity = counts[sum.item as usize].max(1.0).powf(POPULARITY_POWER);
        (sum.sessions >= SUPPORT_MIN).then_some(sum.weight * popularity)
    })
}

/// What shares an item's baskets, of all baskets that hold either.
pub(super) fn basket(log: &Ordered, postings: &Postings) -> Lists {
    let counts = counts(log, postings, CART);
    together(
        log,
        postings,
        CART,
        |_, _| 1.0,
        |item, sum| {
            let either = counts[item as usize] + counts[sum.item as usize] - sum.sessions;
            (sum.sessions > 1.0).then_some(sum.sessions / either.max(1.0))
        },
    )
}
