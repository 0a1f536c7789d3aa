//! The one place where the dev host asks what time it is, so that schedules, locks and windows are tested without waiting.
use time::{Duration, OffsetDateTime};

/// Tells the time. Everything that compares moments takes one of these.
pub trait Clock: Send + Sync {
    /// The present moment in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// The machine's clock, set to another moment when it is made; it runs on from there.
#[derive(Debug, Clone, Copy)]
pub struct ShiftedClock {
    ahead: Duration,
}

impl ShiftedClock {
    /// A clock that shows `moment` now.
    #[must_use]
    pub fn showing(moment: OffsetDateTime) -> Self {
        Self { ahead: moment - OffsetDateTime::now_utc() }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.ahead
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct ManualClock(std::sync::Mutex<OffsetDateTime>);

impl ManualClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn at(at: OffsetDateTime) -> Self {
        Self(std::sync::Mutex::new(at))
    }

    /// Moves the clock to `at`, forwards or back.
    pub fn set(&self, at: OffsetDateTime) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
