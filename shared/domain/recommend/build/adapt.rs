//! Fits parameters to the shop: how the newest sessions would have been served decides how the next ones are.
//!
//! What must stay true: the same sessions give the same parameters; the sessions that judge are not in the model that
//! is judged; what gains too little to be more than chance is left as it was.
use super::{
    super::{
        index::{Item, Model},
        metrics::{Metrics, PLACES},
        params::{FIELDS, Params},
        score::{Live, Prepared, Scratch, Seen, hybrid},
    },
    log::Ordered,
};

/// Clicks that judge.
pub(super) const CLICKS: usize = 5_000;
/// With fewer, nothing is changed.
const CLICKS_MIN: usize = 1_000;
/// Of all sessions, at most one in so many judges.
const SHARE: usize = 5;
/// Share of the hit rate in what is raised.
const HIT_RATE_SHARE: f64 = 0.25;
/// Least gain that counts.
const GAIN_MIN: f64 = 0.001;
/// What each of these is multiplied by. Only what a query reads: nothing is built anew.
const STEPS: &[f32] = &[0.5, 2.0];
/// Steps in one direction.
const STEPS_MAX: usize = 3;
/// What is tried, what matters most first.
const TRIED: &[&str] = &[
    "lists",
    "second_hop",
    "seen_bonus",
    "candidate_rarity",
    "forward",
    "backward_share",
    "backward",
    "sharpness",
    "neighbours",
    "recent",
    "anchor_decay",
    "lists_context_decay",
    "seen_factor",
    "seen_decay",
    "seen_back",
    "popularity",
    "length",
    "rarity",
    "context_decay",
    "age_days",
];

/// How many of the newest sessions judge.
pub(super) fn judges(log: &Ordered) -> usize {
    let (mut clicks, mut sessions) = (0, 0);
    for number in (0..log.kept()).rev().take(log.kept() / SHARE) {
        clicks += log.session(number as u32).len() - 1;
        sessions += 1;
        if clicks >= CLICKS {
            break;
        }
    }
    if clicks < CLICKS_MIN { 0 } else { sessions }
}

/// The best parameters found, for what is new to a session or for all.
pub(super) fn fitted(model: &Model<'_>, sessions: &[Vec<Item>], params: &Params, seen: Seen) -> Params {
    let judge = |params: &Params| value(model, sessions, params, seen);
    let (mut best, mut most) = (params.clone(), judge(params));
    for (_, field) in TRIED.iter().filter_map(|name| FIELDS.iter().find(|it| it.0 == *name)) {
        for step in STEPS {
            let before = most;
            for _ in 0..STEPS_MAX {
                let mut tried = best.clone();
                *field(&mut tried) *= step;
                let value = judge(&tried);
                if value < most + GAIN_MIN {
                    break;
                }
                (best, most) = (tried, value);
            }
            if most > before {
                break;
            }
        }
    }
    best
}

fn value(model: &Model<'_>, sessions: &[Vec<Item>], params: &Params, seen: Seen) -> f64 {
    let (live, prepared) = (Live::new(*model), Prepared::new(model, params));
    let (mut scratch, mut metrics, mut list) = (Scratch::default(), Metrics::default(), Vec::new());
    for items in sessions {
        for at in 1..items.len() {
            let (before, after) = items.split_at(at);
            if seen == Seen::Hidden && before.contains(&items[at]) {
                continue;
            }
            list.clear();
            let scored = hybrid(&live, &prepared, before, seen, PLACES, &mut scratch);
            list.extend(scored.iter().map(|it| it.item.0));
            metrics.add(&list, &[after[0].0]);
        }
    }
    metrics.mrr() + HIT_RATE_SHARE * metrics.hit_rate()
}
