//! The host's count of handler crashes: the third within half an hour is the last.
use std::time::{Duration, Instant};

/// A longer gap since the last crash clears the stack.
const GAP_MAX: Duration = Duration::from_secs(30 * 60);
/// The crash that makes the stack this high is not answered by a restart.
const CRASHES_MAX: usize = 3;

/// The crashes so far.
#[derive(Debug, Default)]
pub(super) struct CrashStack {
    count: usize,
    last: Option<Instant>,
}

impl CrashStack {
    /// Notes a crash at `now` and answers whether the handler may be started again.
    pub(super) fn may_restart_after(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) > GAP_MAX) {
            self.count = 0;
        }
        self.last = Some(now);
        self.count += 1;
        self.count < CRASHES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_crash_within_half_an_hour_is_the_last() {
        let start = Instant::now();
        let minutes = |it: u64| start + Duration::from_secs(60 * it);
        let mut stack = CrashStack::default();
        assert!(stack.may_restart_after(start));
        assert!(stack.may_restart_after(minutes(30)));
        assert!(!stack.may_restart_after(minutes(60)));
    }

    #[test]
    fn a_gap_of_more_than_half_an_hour_clears_the_stack() {
        let start = Instant::now();
        let minutes = |it: u64| start + Duration::from_secs(60 * it);
        let mut stack = CrashStack::default();
        assert!(stack.may_restart_after(start));
        assert!(stack.may_restart_after(minutes(1)));
        assert!(stack.may_restart_after(minutes(32)));
        assert!(stack.may_restart_after(minutes(33)));
        assert!(!stack.may_restart_after(minutes(34)));
    }
}
