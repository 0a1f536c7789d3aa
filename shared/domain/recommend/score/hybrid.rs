//! The hybrid: sequence-aware nearest neighbours over recent sessions, lists of what follows what, what the session
//! has seen, and popularity of late.
use super::{
    super::index::Item,
    Live, Prepared, Scratch,
    table::{Candidate, Neighbour, Table},
    top::{Scored, Top},
};

/// Entries of a list that the second hop goes on from, and takes of each, where the model has no list of that.
const HOPS_MAX: usize = 10;

/// What becomes of what the session has seen. The newest item is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Shown,
    Hidden,
    /// Nothing else is shown.
    Only,
}

/// Fills the table of candidates.
pub(super) fn gather(live: &Live<'_>, prepared: &Prepared, session: &[Item], scratch: &mut Scratch) {
    scratch.candidates.clear();
    scratch.neighbours.clear();
    scratch.context.clear();
    for item in session.iter().rev() {
        let (candidate, new) = scratch.candidates.entry(item.0);
        let place = scratch.context.len();
        candidate.times = candidate.times.saturating_add(1);
        if new && place < usize::from(u8::MAX) {
            candidate.seen = place as u8 + 1;
            scratch.context.push(item.0);
        }
    }
    scratch.returns = returns(prepared, session);
    mark_back(session, &mut scratch.candidates);
    by_lists(live, prepared, scratch);
    find_neighbours(live, prepared, scratch);
    nearest(prepared, scratch);
    by_sessions(live, prepared, scratch);
}

/// Share of steps that go back to what the session has seen: of the shop's at first, more and more of its own.
fn returns(prepared: &Prepared, session: &[Item]) -> f32 {
    let params = &prepared.params;
    let newest = &session[session.len().saturating_sub(prepared.seen_bonus.len())..];
    let (mut back, mut steps) = (0.0, 0.0);
    for (at, item) in newest.iter().enumerate().skip(1) {
        let known = newest[..at].contains(item);
        back = back * params.return_memory + if known { 1.0 } else { 0.0 };
        steps = steps * params.return_memory + 1.0;
    }
    (back + params.return_prior * prepared.returns) / (steps + params.return_prior).max(f32::MIN_POSITIVE)
}

/// Who is back at an item often goes on to what came before it.
fn mark_back(session: &[Item], candidates: &mut Table<Candidate>) {
    let Some((newest, earlier)) = session.split_last() else { return };
    for pair in earlier.array_windows().filter(|[_, it]| it == newest) {
        candidates.entry(pair[0].0).0.back = true;
    }
}

fn by_lists(live: &Live<'_>, prepared: &Prepared, scratch: &mut Scratch) {
    for (at, item) in scratch.context.iter().take(prepared.context).enumerate() {
        let weight = prepared.lists_decay[at];
        for entry in live.follow(*item) {
            let (candidate, new) = scratch.candidates.entry(entry.item);
            candidate.by_lists += weight * entry.weight;
            if new {
                candidate.source = at as u8;
            }
        }
        if at == 0 && prepared.params.second_hop > 0.0 {
            second_hop(live, prepared, *item, &mut scratch.candidates);
        }
    }
}

/// What follows what follows the newest item, for items that little is known of.
fn second_hop(live: &Live<'_>, prepared: &Prepared, item: u32, candidates: &mut Table<Candidate>) {
    let strength = prepared.hop(live.list_sum(item));
    let far = live.model().far(item);
    if far.len() > 0 {
        for entry in far {
            candidates.entry(entry.item).0.by_lists += strength * entry.weight;
        }
        return;
    }
    for first in live.follow(item).take(HOPS_MAX) {
        let weight = strength * first.weight * live.share(first.item);
        for second in live.follow(first.item).take(HOPS_MAX).filter(|it| it.item != item) {
            candidates.entry(second.item).0.by_lists += weight * second.weight;
        }
    }
}

/// Every recent session that shares an item, and how much it shares.
fn find_neighbours(live: &Live<'_>, prepared: &Prepared, scratch: &mut Scratch) {
    for (at, item) in scratch.context.iter().take(prepared.context).enumerate() {
        let weight = prepared.context_decay[at] * prepared.rarity(live.count(*item));
        for posting in live.postings(*item).take(prepared.recent) {
            let (neighbour, new) = scratch.neighbours.entry(posting.session());
            neighbour.similarity += weight;
            if new {
                neighbour.class = posting.class() as u8;
                neighbour.shared = at as u8;
            }
        }
    }
}

fn nearest(prepared: &Prepared, scratch: &mut Scratch) {
    let power = prepared.params.sharpness;
    scratch.nearest.clear();
    scratch.nearest.extend(scratch.neighbours.entries().iter().map(|it| {
        let weighed = it.similarity * prepared.classes[usize::from(it.class) & 63] * prepared.age(it.session);
        Neighbour { similarity: weighed, ..*it }
    }));
    let nearest = &mut scratch.nearest;
    if nearest.len() > prepared.neighbours {
        let order = |one: &Neighbour, other: &Neighbour| {
            other.similarity.total_cmp(&one.similarity).then(other.session.cmp(&one.session))
        };
        nearest.select_nth_unstable_by(prepared.neighbours - 1, order);
        nearest.truncate(prepared.neighbours);
    }
    // Only ratios count, and powers of large numbers overflow.
    let most = nearest.iter().map(|it| it.similarity).fold(f32::MIN_POSITIVE, f32::max);
    for neighbour in nearest {
        neighbour.similarity = (neighbour.similarity / most).powf(power);
    }
}

fn by_sessions(live: &Live<'_>, prepared: &Prepared, scratch: &mut Scratch) {
    // They lie far apart. Asked for together, with nothing between that depends on what is found, they come together.
    let touched = scratch.nearest.iter().filter_map(|it| live.session(it.session).next());
    std::hint::black_box(touched.fold(0, u32::wrapping_add));
    for neighbour in &scratch.nearest {
        let at = usize::from(neighbour.shared);
        let items = live.session(neighbour.session);
        let Some(anchor) = scratch.context.get(at).and_then(|it| items.clone().rposition(|other| other == *it)) else {
            continue;
        };
        let weight = neighbour.similarity * prepared.anchor_decay[at];
        for (place, item) in items.enumerate() {
            let share = match place.abs_diff(anchor).checked_sub(1) {
                None => continue,
                Some(distance) if place > anchor => prepared.forward[distance.min(prepared.forward.len() - 1)],
                Some(distance) => prepared.backward[distance.min(prepared.backward.len() - 1)],
            };
            let (candidate, new) = scratch.candidates.entry(item);
            candidate.by_sessions += weight * share;
            if new {
                candidate.source = neighbour.shared;
            }
        }
    }
}

/// The best candidates, those of sessions and those of lists on one scale.
pub(super) fn rank(
    live: &Live<'_>,
    prepared: &Prepared,
    seen: Seen,
    limit: usize,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    let params = &prepared.params;
    let (mut most_sessions, mut most_lists) = (f32::MIN_POSITIVE, f32::MIN_POSITIVE);
    for it in scratch.candidates.entries_mut().iter_mut().filter(|it| it.seen != 1) {
        it.by_sessions *= prepared.candidate_rarity(live.count(it.item));
        most_sessions = most_sessions.max(it.by_sessions);
        most_lists = most_lists.max(it.by_lists);
    }
    let mut top = Top::new(limit, |item| live.recency(item));
    for it in scratch.candidates.entries() {
        let bonus = match it.seen {
            0 if seen == Seen::Only => continue,
            0 => 0.0,
            1 => continue,
            _ if seen == Seen::Hidden => continue,
            place => {
                let times = prepared.times[usize::from(it.times).min(prepared.times.len() - 1)];
                let bonus = prepared.seen_bonus[usize::from(place - 1).min(prepared.seen_bonus.len() - 1)];
                scratch.returns * times * bonus
            }
        };
        let mut score = it.by_sessions / most_sessions + params.lists * it.by_lists / most_lists;
        if params.popularity > 0.0 {
            // Popularity is at most 1, and its power is slow to work out.
            if it.seen == 0 && score + params.popularity < top.least() {
                continue;
            }
            score += params.popularity * live.model().heat(it.item).powf(params.popularity_power);
        }
        if it.seen > 0 {
            let back = if it.back { 1.0 + params.seen_back } else { 1.0 };
            score = (score * (1.0 + params.seen_factor * scratch.returns) + bonus) * back;
        }
        top.offer(Scored { item: Item(it.item), score, source: it.source, seen: it.seen > 0 });
    }
    top.finish()
}
