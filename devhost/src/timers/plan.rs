//! What a timer does when the host starts and when a run has ended. Pure: the time and the stored status come in.
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use super::schedule::Schedule;

const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
/// How .NET writes the moment of a run that never was.
const NEVER: &str = "0001-01-01T00:00:00+00:00";

/// What is known of a timer's runs; stored where `useMonitor` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerStatus {
    /// The last run; `None` when there was none under this schedule.
    pub(super) last: Option<OffsetDateTime>,
    pub(super) next: OffsetDateTime,
    pub(super) last_updated: OffsetDateTime,
}

/// What to do at once when the host starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// An occurrence passed while the host was away.
    RunPastDue,
    /// `runOnStartup`.
    RunOnStartup,
    Wait,
}

impl TimerStatus {
    /// `ScheduleStatus` of the payload.
    pub(super) fn content(&self) -> Value {
        let last = self.last.map_or_else(|| NEVER.to_owned(), with_offset);
        json!({"Last": last, "Next": with_offset(self.next), "LastUpdated": with_offset(self.last_updated)})
    }
}

/// Whether a timer's status is stored: asked for, and the schedule not more frequent than once a minute.
pub(super) fn is_monitored(schedule: &Schedule, use_monitor: bool) -> bool {
    use_monitor && !schedule.is_more_frequent_than_a_minute()
}

/// The status to begin with and what to do at once. `None` when the schedule has no further occurrence.
///
/// A schedule that was changed since the status was stored is planned anew from the last update. A past-due run has
/// precedence over `runOnStartup`; on the very first start there is none.
pub(super) fn on_start(
    schedule: &Schedule,
    stored: Option<TimerStatus>,
    now: OffsetDateTime,
    run_on_startup: bool,
) -> Option<(TimerStatus, Start)> {
    let status = match stored {
        None => TimerStatus { last: None, next: schedule.after(now)?, last_updated: now },
        Some(stored) => {
            let reference = stored.last.unwrap_or(stored.last_updated);
            let expected = schedule.after(reference)?;
            if expected == stored.next {
                stored
            } else {
                let next = if now > expected { schedule.after(now)? } else { expected };
                TimerStatus { last: None, next, last_updated: reference }
            }
        }
    };
    let start = if now > status.next {
        Start::RunPastDue
    } else if run_on_startup {
        Start::RunOnStartup
    } else {
        Start::Wait
    };
    Some((status, start))
}

/// The status after a run that began at `began`. A run that came a little early counts as the occurrence it was meant for,
/// so that the same occurrence does not come twice.
pub(super) fn after_run(
    schedule: &Schedule,
    status: TimerStatus,
    began: OffsetDateTime,
    is_scheduled: bool,
) -> Option<TimerStatus> {
    let began = if is_scheduled && status.next > began { status.next } else { began };
    Some(TimerStatus { last: Some(began), next: schedule.after(began)?, last_updated: began })
}

fn with_offset(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC);
    let ticks = moment.nanosecond() / 100;
    let fraction = format!(".{ticks:07}");
    let fraction = if ticks == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{}{fraction}+00:00", moment.format(SECONDS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn five_minutes() -> Schedule {
        Schedule::parse("0 */5 * * * *").unwrap()
    }

    #[test]
    fn the_first_start_ever_only_plans() {
        let now = datetime!(2024-05-01 10:02:30 UTC);
        let (status, start) = on_start(&five_minutes(), None, now, false).unwrap();
        assert_eq!((status.next, start), (datetime!(2024-05-01 10:05:00 UTC), Start::Wait));
        assert_eq!(status.content()["Last"], NEVER);
    }

    #[test]
    fn an_occurrence_that_was_missed_runs_at_once_and_wins_over_run_on_startup() {
        let stored = TimerStatus {
            last: Some(datetime!(2024-05-01 09:55:00 UTC)),
            next: datetime!(2024-05-01 10:00:00 UTC),
            last_updated: datetime!(2024-05-01 09:55:00 UTC),
        };
        let now = datetime!(2024-05-01 10:02:00 UTC);
        let (status, start) = on_start(&five_minutes(), Some(stored), now, true).unwrap();
        assert_eq!((status, start), (stored, Start::RunPastDue));
        let after = after_run(&five_minutes(), status, now, false).unwrap();
        assert_eq!(after.next, datetime!(2024-05-01 10:05:00 UTC));
    }

    #[test]
    fn a_timer_that_never_ran_is_past_due_too() {
        let (first, _) = on_start(&five_minutes(), None, datetime!(2024-05-01 09:58:00 UTC), false).unwrap();
        let (_, start) = on_start(&five_minutes(), Some(first), datetime!(2024-05-01 10:02:00 UTC), false).unwrap();
        assert_eq!(start, Start::RunPastDue);
    }

    #[test]
    fn run_on_startup_runs_without_being_past_due() {
        let now = datetime!(2024-05-01 10:02:00 UTC);
        assert_eq!(on_start(&five_minutes(), None, now, true).unwrap().1, Start::RunOnStartup);
    }

    #[test]
    fn a_changed_schedule_is_planned_anew() {
        let stored = TimerStatus {
            last: Some(datetime!(2024-05-01 09:00:00 UTC)),
            next: datetime!(2024-05-01 10:00:00 UTC),
            last_updated: datetime!(2024-05-01 09:00:00 UTC),
        };
        let now = datetime!(2024-05-01 10:02:00 UTC);
        let (status, start) = on_start(&five_minutes(), Some(stored), now, false).unwrap();
        assert_eq!((status.next, start), (datetime!(2024-05-01 10:05:00 UTC), Start::Wait));
        assert_eq!(status.last, None);
    }

    #[test]
    fn an_early_run_counts_as_its_occurrence_and_a_slow_one_skips() {
        let status = TimerStatus {
            last: None,
            next: datetime!(2024-05-01 10:05:00 UTC),
            last_updated: datetime!(2024-05-01 10:00:00 UTC),
        };
        let early = after_run(&five_minutes(), status, datetime!(2024-05-01 10:04:59.9 UTC), true).unwrap();
        assert_eq!(early.next, datetime!(2024-05-01 10:10:00 UTC));
        let late = after_run(&five_minutes(), early, datetime!(2024-05-01 10:22:00.5 UTC), true).unwrap();
        assert_eq!(late.next, datetime!(2024-05-01 10:25:00 UTC));
        assert_eq!(late.content()["Last"], "2024-05-01T10:22:00.5+00:00");
    }

    #[test]
    fn frequent_schedules_have_no_status() {
        assert!(!is_monitored(&Schedule::parse("*/10 * * * * *").unwrap(), true));
        assert!(is_monitored(&five_minutes(), true));
        assert!(!is_monitored(&five_minutes(), false));
    }
}
