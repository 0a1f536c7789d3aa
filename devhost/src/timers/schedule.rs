//! NCrontab schedules: six fields with seconds first, or five with second 0; all in UTC.
//!
//! Day and weekday are both asked for: NCrontab intersects them where Vixie cron unites them. Written here because the cron
//! crates follow Vixie. Pure: the moment comes in, the next one goes out.
use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

/// How far ahead an occurrence is looked for: `29 FEB` on a given weekday comes at least once in 40 years.
const YEARS_AHEAD: i32 = 41;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A parsed schedule. Each field is a set of allowed values, one bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the schedule `{0}` has not five or six fields")]
    Fields(String),
    #[error("`{part}` is not a value for the field `{field}` of a schedule")]
    Value { field: &'static str, part: String },
    #[error("the schedule `{0}` never comes")]
    Never(String),
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, names: &[] },
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: &MONTHS },
    Field { name: "day-of-week", low: 0, high: 6, names: &WEEKDAYS },
];

impl Schedule {
    /// Parses five or six fields separated by spaces.
    ///
    /// # Errors
    /// A wrong number of fields, a value outside its field, or a date that does not exist.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let parts = match parts.len() {
            5 => [&["0"], parts.as_slice()].concat(),
            6 => parts,
            _ => return Err(ScheduleError::Fields(text.to_owned())),
        };
        let mut sets = [0; 6];
        for ((set, field), part) in sets.iter_mut().zip(&FIELDS).zip(parts) {
            *set = field.parse(part)?;
        }
        let [seconds, minutes, hours, days, months, weekdays] = sets;
        let schedule = Self { seconds, minutes, hours, days, months, weekdays };
        let comes = schedule.after(OffsetDateTime::UNIX_EPOCH).is_some();
        if comes { Ok(schedule) } else { Err(ScheduleError::Never(text.to_owned())) }
    }

    /// The first occurrence after `moment`, in UTC; `None` when there is none within the years that are looked at.
    #[must_use]
    pub fn after(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let moment = moment.to_offset(UtcOffset::UTC);
        let first = moment.replace_nanosecond(0).ok()? + Duration::SECOND;
        if self.day_matches(first.date())
            && let Some(time) = self.time_from(first.time())
        {
            return Some(first.date().with_time(time).assume_utc());
        }
        let last_year = first.year().checked_add(YEARS_AHEAD)?;
        let mut date = first.date().next_day()?;
        while date.year() <= last_year {
            if !has(self.months, u32::from(u8::from(date.month()))) {
                date = first_of_next_month(date)?;
            } else if self.day_matches(date) {
                return Some(date.with_time(self.time_from(Time::MIDNIGHT)?).assume_utc());
            } else {
                date = date.next_day()?;
            }
        }
        None
    }

    /// Whether two occurrences in a row lie less than a minute apart. Such timers have no stored status.
    #[must_use]
    pub fn is_more_frequent_than_a_minute(&self) -> bool {
        self.seconds.count_ones() > 1
    }

    fn day_matches(&self, date: Date) -> bool {
        has(self.months, u32::from(u8::from(date.month())))
            && has(self.days, u32::from(date.day()))
            && has(self.weekdays, u32::from(date.weekday().number_days_from_sunday()))
    }

    /// The first matching time of day that is not before `from`.
    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) = (u32::from(from.hour()), u32::from(from.minute()), u32::from(from.second()));
        let lowest = |set: u64| next_in(set, 0);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = next_in(self.seconds, second)
            {
                return clock(hour, minute, second);
            }
            if let Some(minute) = next_in(self.minutes, minute + 1) {
                return clock(hour, minute, lowest(self.seconds)?);
            }
        }
        clock(next_in(self.hours, hour + 1)?, lowest(self.minutes)?, lowest(self.seconds)?)
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, ScheduleError> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    /// `*`, `5`, `1-5`, each with an optional `/step`. `5/15` counts from 5 to the end of the field, as NCrontab does.
    fn part(&self, part: &str) -> Result<u64, ScheduleError> {
        let refused = || ScheduleError::Value { field: self.name, part: part.to_owned() };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|it| *it > 0).ok_or_else(refused)?),
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((low, high)) => (self.value(low).ok_or_else(refused)?, self.value(high).ok_or_else(refused)?),
            None => {
                let value = self.value(range).ok_or_else(refused)?;
                (value, if part.contains('/') { self.high } else { value })
            }
        };
        if low > high {
            return Err(refused());
        }
        Ok((low..=high).step_by(step).fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|it| text.len() >= 3 && it.eq_ignore_ascii_case(text));
        match named {
            Some(position) => u32::try_from(position).ok().map(|it| it + self.low),
            None if text.bytes().all(|it| it.is_ascii_digit()) => {
                text.parse().ok().filter(|it| (self.low..=self.high).contains(it))
            }
            None => None,
        }
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

/// The lowest member of `set` that is at least `from`.
fn next_in(set: u64, from: u32) -> Option<u32> {
    let rest = set >> from;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

fn clock(hour: u32, minute: u32, second: u32) -> Option<Time> {
    Time::from_hms(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?).ok()
}

fn first_of_next_month(date: Date) -> Option<Date> {
    let year = if date.month() == Month::December { date.year() + 1 } else { date.year() };
    Date::from_calendar_date(year, date.month().next(), 1).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_next_occurrence_is_found() {
        for (schedule, from, expected) in [
            ("0 */5 * * * *", datetime!(2024-05-01 10:02:30 UTC), datetime!(2024-05-01 10:05:00 UTC)),
            ("0 */5 * * * *", datetime!(2024-05-01 10:05:00 UTC), datetime!(2024-05-01 10:10:00 UTC)),
            ("*/5 * * * *", datetime!(2024-05-01 10:02:30 UTC), datetime!(2024-05-01 10:05:00 UTC)),
            ("*/10 * * * * *", datetime!(2024-05-01 10:00:59.9 UTC), datetime!(2024-05-01 10:01:00 UTC)),
            ("0 0 2 * * *", datetime!(2024-12-31 02:00:00 UTC), datetime!(2025-01-01 02:00:00 UTC)),
            // Friday the thirteenth: both must match.
            ("0 0 0 13 * FRI", datetime!(2024-01-01 00:00:00 UTC), datetime!(2024-09-13 00:00:00 UTC)),
            ("0 0 0 29 2 *", datetime!(2024-03-01 00:00:00 UTC), datetime!(2028-02-29 00:00:00 UTC)),
            ("0 30 9 * Jan Mon-Fri", datetime!(2024-05-01 00:00:00 UTC), datetime!(2025-01-01 09:30:00 UTC)),
            ("5,10 0 0 1 */3 *", datetime!(2024-04-01 00:00:07 UTC), datetime!(2024-04-01 00:00:10 UTC)),
            ("0 20/15 * * * *", datetime!(2024-04-01 00:36:00 UTC), datetime!(2024-04-01 00:50:00 UTC)),
            ("0 0 0 * * *", datetime!(2024-05-01 01:00:00 +2), datetime!(2024-05-01 00:00:00 UTC)),
        ] {
            assert_eq!(Schedule::parse(schedule).unwrap().after(from), Some(expected), "{schedule} after {from}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * * *",
            "* * * 0 * *",
            "* * * * * 7",
            "5-1 * * * * *",
            "*/0 * * * * *",
            "a * * * * *",
            "00:00:30",
            "0 0 0 30 2 *",
            "+5 * * * * *",
            "1,,2 * * * * *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_schedules_with_several_seconds_are_too_frequent_for_a_stored_status() {
        assert!(Schedule::parse("*/10 * * * * *").unwrap().is_more_frequent_than_a_minute());
        assert!(!Schedule::parse("30 * * * * *").unwrap().is_more_frequent_than_a_minute());
    }

    #[test]
    fn a_walk_by_seconds_finds_the_same_occurrences() {
        let start = datetime!(2024-02-28 22:58:00 UTC);
        for text in ["7,31 */7 * * * *", "0 59 23 28-29 2 *", "30 0-3 0 * * THU", "0 0 0 1 MAR FRI"] {
            let schedule = Schedule::parse(text).unwrap();
            let mut from = start;
            let mut moment = start;
            for _ in 0..200_000 {
                moment += Duration::SECOND;
                let matches = schedule.day_matches(moment.date())
                    && has(schedule.hours, u32::from(moment.hour()))
                    && has(schedule.minutes, u32::from(moment.minute()))
                    && has(schedule.seconds, u32::from(moment.second()));
                if matches {
                    assert_eq!(schedule.after(from), Some(moment), "{text} after {from}");
                    from = moment;
                }
            }
        }
    }
}
