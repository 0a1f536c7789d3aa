//! Where those who want to change the same thing queue within one process, instead of losing against each other in
//! the store. Right without it (the etags decide), only slower.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::shared::ports::Ports;

/// Gates kept before those that nobody stands at are thrown away.
const GATES_KEPT: usize = 1_024;

/// A store and a clock by their addresses, and what is wanted: processes that a test keeps side by side stay apart.
type Place = (usize, usize, String);

/// Gates by name, each for as long as anyone stands at it.
pub(super) struct Gates<T>(Mutex<State<T>>);

struct State<T> {
    by_place: HashMap<Place, Weak<T>>,
    sweep_at: usize,
}

impl<T> Default for Gates<T> {
    fn default() -> Gates<T> {
        Gates(Mutex::new(State { by_place: HashMap::new(), sweep_at: GATES_KEPT }))
    }
}

impl<T: Default> Gates<T> {
    pub(super) fn at(&self, ports: &Ports, name: &str) -> Arc<T> {
        let store = Arc::as_ptr(&ports.documents).cast::<()>().addr();
        let place = (store, Arc::as_ptr(&ports.clock).cast::<()>().addr(), name.to_owned());
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.by_place.get(&place).and_then(Weak::upgrade) {
            return gate;
        }
        if gates.by_place.len() >= gates.sweep_at {
            gates.by_place.retain(|_, gate| gate.strong_count() > 0);
            gates.sweep_at = GATES_KEPT.max(2 * gates.by_place.len());
        }
        let gate = Arc::new(T::default());
        gates.by_place.insert(place, Arc::downgrade(&gate));
        gate
    }
}
