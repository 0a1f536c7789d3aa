//! What happened since the model was built: a small model of the last hour, laid over the numbers of the large one.
//!
//! What must stay true: it depends on the clicks alone, not on the number of times that their segments came, nor on their
//! order but for one session's clicks of one second; one session weighs as much as a session, however often it clicks.
mod segment;

use std::collections::HashMap;

use super::{
    build::{Builder, Stage},
    click::{Click, put_in_order},
    index::{Item, Layout, Model},
    params::Params,
};
pub use segment::{ALONE, ID_MAX_BYTES, LiveClick, Segment, SegmentError};

/// Newest sessions of two items or more that are kept, and newest of one.
const SESSIONS_MAX: usize = 50_000;
/// Clicks after which a session is no shopper.
const CLICKS_MAX: usize = 500;
/// Newest sessions of an item, and entries of its list.
const RECENT_MAX: f32 = 64.0;
const LIST_MAX: f32 = 20.0;

/// Recent sessions beside one model.
#[derive(Debug)]
pub struct Overlay {
    file: Vec<u8>,
    layout: Option<Layout>,
    /// Keys of its sessions, by their numbers in `file`.
    keys: Vec<u64>,
    /// Numbers in the model of its items, and back, in order.
    outer: Vec<u32>,
    inner: Vec<(u32, u32)>,
    /// Of the model that it lies over.
    of: (u32, u32, u32),
}

/// What tells one model from another.
fn mark(model: &Model<'_>) -> (u32, u32, u32) {
    (model.items(), model.sessions(), model.newest())
}

impl Overlay {
    /// From all segments since `since`, in seconds since 1970.
    pub fn new<'s>(
        model: &Model<'_>,
        params: &Params,
        segments: impl IntoIterator<Item = &'s Segment>,
        since: u32,
    ) -> Overlay {
        let params =
            Params { list_norm: 0.0, list_rarity: 0.0, list_length: LIST_MAX, recent: RECENT_MAX, ..params.clone() };
        let mut builder = Builder::new(&params);
        let mut keys = Vec::new();
        for (key, clicks) in sessions(model, segments, since) {
            let ended = clicks.last().map_or(0, |it| it.at);
            if builder.add(ended, clicks.iter().map(|it| Click { item: &it.item, kind: it.kind })) {
                keys.push(key);
            }
        }
        let file = builder.finish(Stage::Whole);
        let mut overlay = Overlay {
            layout: Layout::read(&file).ok(),
            file,
            keys,
            outer: Vec::new(),
            inner: Vec::new(),
            of: mark(model),
        };
        let own = overlay.model();
        let mut next = model.items();
        let number = |item: u32| {
            model.find(own.id(Item(item))).map_or_else(
                || {
                    next += 1;
                    next - 1
                },
                |it| it.0,
            )
        };
        let outer: Vec<u32> = (0..own.items()).map(number).collect();
        let mut inner: Vec<(u32, u32)> = outer.iter().zip(0..).map(|(outer, inner)| (*outer, inner)).collect();
        inner.sort_unstable();
        (overlay.outer, overlay.inner) = (outer, inner);
        overlay
    }

    /// Sessions in it.
    pub fn sessions(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_of(&self, model: &Model<'_>) -> bool {
        self.of == mark(model)
    }

    pub(super) fn model(&self) -> Model<'_> {
        self.layout.map_or_else(Model::empty, |it| it.model(&self.file))
    }

    /// The number in the model of an item here.
    #[inline]
    pub(super) fn outer(&self, item: u32) -> u32 {
        self.outer.get(item as usize).copied().unwrap_or(u32::MAX)
    }

    /// The number here of an item of the model.
    #[inline]
    pub(super) fn inner(&self, item: u32) -> Option<u32> {
        let at = self.inner.binary_search_by_key(&item, |it| it.0).ok()?;
        self.inner.get(at).map(|it| it.1)
    }

    pub(super) fn key(&self, session: u32) -> Option<u64> {
        self.keys.get(session as usize).copied()
    }
}

/// Its key and its clicks.
type Session<'s> = (u64, Vec<&'s LiveClick>);

/// Sessions with their clicks in order, each click once; the newest, by the time of their last click. Those of one item
/// say only what is asked for, so however many come they take no place of those that say what goes with what.
fn sessions<'s>(model: &Model<'_>, segments: impl IntoIterator<Item = &'s Segment>, since: u32) -> Vec<Session<'s>> {
    let mut sessions = HashMap::<u64, Vec<&LiveClick>>::new();
    for click in segments.into_iter().flat_map(|it| &it.clicks).filter(|it| it.at >= since) {
        sessions.entry(click.session).or_default().push(click);
    }
    let mut sessions: Vec<Session<'_>> = sessions.into_iter().collect();
    for (_, clicks) in &mut sessions {
        put_in_order(clicks, |it| (it.at, &it.item, it.kind));
    }
    sessions.retain(|(_, clicks)| clicks.len() <= CLICKS_MAX);
    leave_out_unheard_of(model, &mut sessions);
    sessions.sort_by_key(|(key, clicks)| (clicks.last().map(|it| it.at), *key));
    let (mut sessions, mut single): (Vec<_>, Vec<_>) =
        sessions.into_iter().partition(|(_, clicks)| clicks.iter().any(|it| it.item != clicks[0].item));
    for all in [&mut sessions, &mut single] {
        let surplus = all.len().saturating_sub(SESSIONS_MAX);
        all.drain(..surplus);
    }
    sessions.extend(single);
    sessions
}

/// Leaves out items that neither the model nor a second session knows: anybody can make up an identifier.
fn leave_out_unheard_of(model: &Model<'_>, sessions: &mut Vec<Session<'_>>) {
    let mut first = HashMap::<&str, (u64, bool)>::new();
    for (key, clicks) in sessions.iter() {
        for click in clicks {
            let (of, known) = first.entry(&click.item).or_insert_with(|| (*key, model.find(&click.item).is_some()));
            *known |= of != key;
        }
    }
    for (_, clicks) in sessions.iter_mut() {
        clicks.retain(|it| first.get(&*it.item).is_some_and(|(_, known)| *known));
    }
    sessions.retain(|(_, clicks)| !clicks.is_empty());
}
