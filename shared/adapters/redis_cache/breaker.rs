//! When to stop asking a server that does not answer.
use std::sync::atomic::{AtomicU32, Ordering};

/// Failures in a row after which nobody asks any more until the keeper was answered.
pub(super) const FAILURES_MAX: u32 = 5;

/// Failures since the last answer.
#[derive(Default)]
pub(super) struct Breaker(AtomicU32);

impl Breaker {
    pub(super) fn answered(&self) {
        // Most answers follow answers; the line stays shared between cores.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Whether that is enough: a connection that is `gone` is enough by itself.
    pub(super) fn failed(&self, gone: bool) -> bool {
        let failures = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        gone || failures >= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_or_when_the_connection_is_gone() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            assert!(!breaker.failed(false));
        }
        breaker.answered();
        for _ in 1..FAILURES_MAX {
            assert!(!breaker.failed(false));
        }
        assert!(breaker.failed(false));
        assert!(Breaker::default().failed(true));
    }
}
