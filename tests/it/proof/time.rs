//! Virtual time: a clock that goes by the runtime's paused one, and the runtime itself.
//!
//! Nothing here waits. The runtime has one thread and moves its clock to the next timer when nobody can go on,
//! so a week passes at once, and the order of all things follows from the delays that the seed has drawn.
use std::future::Future;

use offpeak::shared::ports::clock::Clock;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

/// One machine's clock: the common time and how far this machine is off.
#[derive(Clone, Copy, Debug)]
pub(super) struct VirtualClock {
    start: Instant,
    skew: Duration,
}

impl VirtualClock {
    /// Begins now, at a round moment. Only inside [`in_virtual_time`].
    pub(super) fn new() -> VirtualClock {
        VirtualClock { start: Instant::now(), skew: Duration::ZERO }
    }

    /// The same time on a machine that is off by this.
    pub(super) fn skewed(self, skew: Duration) -> VirtualClock {
        VirtualClock { skew, ..self }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> OffsetDateTime {
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        start + (Instant::now() - self.start) + self.skew
    }
}

/// Runs to the end on one thread, in virtual time.
pub(super) fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// Lets so many virtual seconds pass.
pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}

#[test]
fn a_day_passes_at_once() {
    in_virtual_time(async {
        let clock = VirtualClock::new();
        let before = clock.now();
        pass(24 * 3_600).await;
        assert_eq!(clock.now() - before, Duration::DAY);
        assert_eq!(clock.skewed(Duration::seconds(-2)).now() - before, Duration::DAY - Duration::seconds(2));
    });
}
