//! Where the buyers of one SKU in one process queue instead of losing against each other in the store.
//! Right without it (the etags decide), only slower.
use std::{
    collections::VecDeque,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use offpeak_domain::sku::Sku;

use super::group::Waiting;
use crate::shared::{operations::gates::Gates, ports::Ports};

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

static GATES: LazyLock<Gates<Gate>> = LazyLock::new(Gates::default);

pub(super) fn gate(ports: &Ports, sku: &Sku) -> Arc<Gate> {
    GATES.at(ports, sku.as_str())
}
