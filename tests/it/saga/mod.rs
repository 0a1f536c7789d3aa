//! The checkout saga, killed and disturbed at every effect in turn, in one process and without waiting.
//!
//! The operations are the real ones. Every write, message, letter and call that changes something at the
//! provider has a number; a case is a scenario, a number, what happens there, and who comes afterwards.
//! Whatever the case, [`check::check`] must hold in the end. That it can fail is shown in [`planted`].
pub(crate) mod acts;
mod check;
mod crashes;
pub(crate) mod effects;
mod faults;
mod looks;
mod mails;
mod orders;
mod planted;
pub(crate) mod provider;
mod races;
mod shortfall;
mod sold_out;
mod webhooks;
pub(crate) mod world;

use std::{future::Future, pin::Pin};

/// Runs cases and lists those that failed; panics unless all are well. Answers how many there were.
struct Cases {
    count: usize,
    failed: Vec<String>,
}

impl Cases {
    fn new() -> Cases {
        Cases { count: 0, failed: Vec::new() }
    }

    fn add(&mut self, name: &str, done: Result<(), String>) {
        self.count += 1;
        if let Err(err) = done {
            self.failed.push(format!("{name}\n    {err}"));
        }
    }

    /// At least so many cases must have run: an enumeration that has become empty proves nothing.
    fn end(self, at_least: usize) {
        let shown = self.failed.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.failed.is_empty(), "{} of {} cases failed:\n{shown}", self.failed.len(), self.count);
        assert!(self.count >= at_least, "only {} cases ran", self.count);
    }
}

/// A case that is large is kept on the heap.
type Case<'a> = Pin<Box<dyn Future<Output = (String, Result<(), String>)> + 'a>>;
