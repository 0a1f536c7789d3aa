//! Where the buyers of one SKU in one process queue instead of losing against each other in the store.
//! Right without it (the etags decide), only slower.
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use offpeak_domain::sku::Sku;

use super::group::Waiting;
use crate::shared::ports::Ports;

/// Gates kept before those that nobody stands at are thrown away.
const GATES_KEPT: usize = 1_024;

static COMBINES: AtomicBool = AtomicBool::new(true);

/// Whether buyers of one SKU share a batch. On unless a measurement switches it off to compare.
pub fn combine(on: bool) {
    COMBINES.store(on, Ordering::Relaxed);
}

pub(super) fn combines() -> bool {
    COMBINES.load(Ordering::Relaxed)
}

/// One SKU of one store, as one process sees it.
#[derive(Default)]
pub(super) struct Gate {
    /// Who has asked and is not decided.
    queue: Mutex<VecDeque<Waiting>>,
    /// Whoever holds it decides for all.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Gate {
    pub(super) fn push(&self, waiting: Waiting) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    /// Up to `most`, in the order in which they came. Who went away meanwhile is left out.
    pub(super) fn take(&self, most: usize) -> Vec<Waiting> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(next) = queue.pop_front()
        {
            if next.is_there() {
                taken.push(next);
            }
        }
        taken
    }
}

/// A store and a clock by their addresses, and a SKU: processes that a test keeps side by side stay apart.
type Place = (usize, usize, Sku);

struct Gates {
    by_place: HashMap<Place, Weak<Gate>>,
    sweep_at: usize,
}

static GATES: LazyLock<Mutex<Gates>> =
    LazyLock::new(|| Mutex::new(Gates { by_place: HashMap::new(), sweep_at: GATES_KEPT }));

pub(super) fn gate(ports: &Ports, sku: &Sku) -> Arc<Gate> {
    let store = Arc::as_ptr(&ports.documents).cast::<()>().addr();
    let place = (store, Arc::as_ptr(&ports.clock).cast::<()>().addr(), sku.clone());
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gate) = gates.by_place.get(&place).and_then(Weak::upgrade) {
        return gate;
    }
    if gates.by_place.len() >= gates.sweep_at {
        gates.by_place.retain(|_, gate| gate.strong_count() > 0);
        gates.sweep_at = GATES_KEPT.max(2 * gates.by_place.len());
    }
    let gate = Arc::new(Gate::default());
    gates.by_place.insert(place, Arc::downgrade(&gate));
    gate
}
