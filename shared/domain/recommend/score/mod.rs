//! Scorers: the hybrid that is served, and VMIS-kNN to hold it against.
//!
//! What must stay true: equal input gives equal lists, to the last place. Ties go to the higher score, then to the
//! item whose newest session is newer, then to the lower number.
mod hybrid;
mod live;
mod prepared;
mod table;
mod top;
mod vmis;

pub use hybrid::Seen;
pub use live::Live;
pub use prepared::Prepared;
pub(super) use table::{Slot, Table};
pub use top::Scored;

use super::index::{Item, Model};
use table::{Candidate, Neighbour};

/// Memory that a query works in, to be kept for the next one. It grows with what a query touches, never with the
/// size of the model.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) neighbours: Table<Neighbour>,
    pub(super) candidates: Table<Candidate>,
    pub(super) nearest: Vec<Neighbour>,
    pub(super) context: Vec<u32>,
    /// Share of steps that return, in the session at hand.
    pub(super) returns: f32,
    pub(super) times: std::collections::BinaryHeap<std::cmp::Reverse<u32>>,
}

impl Scratch {
    /// Items of the last query's session, newest first, each once.
    pub(super) fn context_items(&self) -> impl Iterator<Item = Item> {
        self.context.iter().copied().map(Item)
    }
}

/// The newest session of an item, for ties; 0 if there is none.
fn recency(model: &Model<'_>, item: u32) -> u32 {
    model.postings(item).next().map_or(0, |it| it.session() + 1)
}

/// The hybrid's list for a session, newest item last.
pub fn hybrid(
    live: &Live<'_>,
    prepared: &Prepared,
    session: &[Item],
    seen: Seen,
    limit: usize,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    hybrid::gather(live, prepared, session, scratch);
    hybrid::rank(live, prepared, seen, limit, scratch)
}

/// VMIS-kNN's list for a session, newest item last.
pub fn vmis(
    model: &Model<'_>,
    prepared: &Prepared,
    session: &[Item],
    seen: Seen,
    limit: usize,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    vmis::list(model, prepared, session, seen, limit, scratch)
}
