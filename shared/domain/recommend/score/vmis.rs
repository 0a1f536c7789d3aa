//! VMIS-kNN, as Serenade serves it: the baseline.
//!
//! Source: Kersbergen, Sprangers, Schelter, "Serenade", SIGMOD 2022, and bolcom/serenade `vmisknn`.
use std::cmp::Reverse;

use super::{
    super::index::{Item, Model},
    Prepared, Scratch, Seen, recency,
    top::{Scored, Top},
};

pub(super) fn list(
    model: &Model<'_>,
    prepared: &Prepared,
    session: &[Item],
    seen: Seen,
    limit: usize,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    let context = &session[session.len().saturating_sub(prepared.vmis_context)..];
    find_neighbours(model, prepared, context, scratch);
    nearest(prepared, scratch);
    scratch.candidates.clear();
    let rare = |item: u32| {
        let count = model.count(item);
        let known = prepared.vmis_rarity.get(count as usize).copied();
        known.unwrap_or_else(|| (model.events().max(1) as f32 / count.max(1) as f32).ln())
    };
    for neighbour in &scratch.nearest {
        let items = model.session(neighbour.session);
        // Linear in the position, and below zero from the tenth on, as published.
        let weight = (1.0 - 0.1 * f32::from(neighbour.shared + 1)) * neighbour.similarity;
        for (at, item) in items.clone().enumerate() {
            if items.clone().take(at).all(|it| it != item) {
                scratch.candidates.entry(item).0.by_sessions += weight * rare(item);
            }
        }
    }
    let newest = session.last();
    let mut top = Top::new(limit, |item| recency(model, item));
    for it in scratch.candidates.entries() {
        let item = Item(it.item);
        let hidden = newest == Some(&item) || seen == Seen::Hidden && session.contains(&item);
        if !hidden {
            top.offer(Scored { item, score: it.by_sessions, source: it.source, seen: false });
        }
    }
    top.finish()
}

/// Of all sessions that share an item, the most recent ones.
fn find_neighbours(model: &Model<'_>, prepared: &Prepared, context: &[Item], scratch: &mut Scratch) {
    scratch.neighbours.clear();
    scratch.times.clear();
    let distinct = (0..context.len()).filter(|at| !context[..*at].contains(&context[*at])).count().max(1) as f32;
    for (at, item) in context.iter().rev().enumerate() {
        if context.iter().rev().take(at).any(|it| it == item) {
            continue;
        }
        let weight = (context.len() - at) as f32 / distinct;
        for posting in model.postings(item.0).take(prepared.vmis_recent) {
            let session = posting.session();
            let full = scratch.times.len() >= prepared.vmis_recent;
            let (neighbour, _) = scratch.neighbours.entry(session);
            if neighbour.similarity > 0.0 {
                neighbour.similarity += weight;
                continue;
            }
            if full {
                let oldest = scratch.times.peek().map_or(0, |it| it.0);
                if session <= oldest {
                    break;
                }
                neighbour.similarity = weight;
                neighbour.shared = at as u8;
                scratch.times.pop();
                scratch.neighbours.entry(oldest).0.similarity = 0.0;
            } else {
                neighbour.similarity = weight;
                neighbour.shared = at as u8;
            }
            scratch.times.push(Reverse(session));
        }
    }
}

fn nearest(prepared: &Prepared, scratch: &mut Scratch) {
    scratch.nearest.clear();
    scratch.nearest.extend(scratch.neighbours.entries().iter().filter(|it| it.similarity > 0.0));
    if scratch.nearest.len() > prepared.vmis_neighbours {
        scratch.nearest.select_nth_unstable_by(prepared.vmis_neighbours - 1, |one, other| {
            other.similarity.total_cmp(&one.similarity).then(other.session.cmp(&one.session))
        });
        scratch.nearest.truncate(prepared.vmis_neighbours);
    }
}
