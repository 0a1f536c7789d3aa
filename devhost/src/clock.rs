//! The one place where the dev host asks what time it is, so that schedules, locks and windows are tested without waiting.
use std::sync::OnceLock;

use time::OffsetDateTime;

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

/// The machine's clock, set to another moment. It stands there until it is started, so that what is planned before is planned
/// at exactly that moment, however long the start takes.
#[derive(Debug)]
pub struct ShiftedClock {
    moment: OffsetDateTime,
    started: OnceLock<OffsetDateTime>,
}

impl ShiftedClock {
    /// A clock that shows `moment` and does not run yet.
    #[must_use]
    pub fn showing(moment: OffsetDateTime) -> Self {
        Self { moment, started: OnceLock::new() }
    }

    /// Lets the clock run; only the first call counts.
    pub fn start(&self) {
        self.started.get_or_init(OffsetDateTime::now_utc);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> OffsetDateTime {
        match self.started.get() {
            Some(started) => self.moment + (OffsetDateTime::now_utc() - *started),
            None => self.moment,
        }
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
