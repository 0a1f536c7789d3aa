//! Timers: schedules, their stored status and the loop that runs them.
pub mod schedule;
