//! What is asked for of late. A session counts once for an item, however often it clicks.
use super::{
    super::{click::Kind, index::Entry},
    NONE, days,
    lists::{Lists, heaviest},
    log::Ordered,
};

/// Decay of popularity, which weighs on every list.
pub(super) const POPULARITY_DAYS: f32 = 7.0;
/// Decay of what is trending: popular of late, and more than before.
const TREND_DAYS: f32 = 2.0;
/// What an item is asked for a day by chance.
const CHANCE: f32 = 1.0;
/// Items in the list of the whole shop, and in that of a category.
const SHOP_MAX: usize = 200;
const CATEGORY_MAX: usize = 100;
/// Items of one category that come before those of others.
const CATEGORY_SHARE: usize = 2;

/// Per item, over all sessions, the newest counting most.
pub(super) fn heat(log: &Ordered, items: usize, decay_days: f32) -> Vec<f32> {
    let (mut heat, newest) = (vec![0.0; items], log.newest());
    for (ended, steps) in log.all() {
        let new = (-days(newest, ended) / decay_days).exp();
        for (at, step) in steps.iter().enumerate() {
            let same = |it: &&u32| *it >> 2 == step >> 2;
            if steps[..at].iter().any(|it| same(&it)) {
                continue;
            }
            let strongest = steps[at..].iter().filter(same).map(|it| it & 3).max().unwrap_or(0);
            heat[(step >> 2) as usize] += new * Kind::of(strongest).weight();
        }
    }
    heat
}

/// Of the whole shop, then of each category.
pub(super) fn lists(log: &Ordered, category: &[u32], categories: usize) -> Lists {
    let before = heat(log, category.len(), POPULARITY_DAYS);
    let mut heat = heat(log, category.len(), TREND_DAYS);
    for (heat, before) in heat.iter_mut().zip(before) {
        *heat *= (*heat / TREND_DAYS + CHANCE) / (before / POPULARITY_DAYS + CHANCE);
    }
    let hot = |it: &usize| heat[*it] > 0.0;
    let mut all: Vec<Entry> =
        (0..heat.len()).filter(hot).map(|it| Entry { item: it as u32, weight: heat[it] }).collect();
    let mut of_category = vec![Vec::new(); categories];
    for entry in &all {
        if let Some(list) = of_category.get_mut(category[entry.item as usize] as usize) {
            list.push(*entry);
        }
    }
    heaviest(&mut all, usize::MAX);
    let mut lists = Lists::new();
    lists.push(mixed(&all, category, categories));
    for mut list in of_category {
        heaviest(&mut list, CATEGORY_MAX);
        lists.push(list);
    }
    lists
}

/// The first items of every category come before what else they have.
fn mixed(all: &[Entry], category: &[u32], categories: usize) -> Vec<Entry> {
    let mut taken = vec![0_usize; categories];
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for entry in all {
        let of = category[entry.item as usize];
        match taken.get_mut(of as usize) {
            Some(taken) if of != NONE && *taken >= CATEGORY_SHARE => later.push(*entry),
            Some(taken) => {
                *taken += 1;
                first.push(*entry);
            }
            None => first.push(*entry),
        }
        if first.len() == SHOP_MAX {
            break;
        }
    }
    later.truncate(SHOP_MAX - first.len());
    first.extend(later);
    first
}
