//! .NET time spans (`[d.]hh:mm:ss[.fffffff]`), as `host.json` and `function.json` write durations.
use std::time::Duration;

/// Reads a time span that is not negative.
///
/// Hours are 0 to 23, minutes and seconds 0 to 59; a bare number of days is read too, as .NET does.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if clock.contains(':') => (days.parse::<u64>().ok()?, clock),
        _ if !text.contains(':') => return Some(Duration::from_secs(text.parse::<u64>().ok()?.checked_mul(86_400)?)),
        _ => (0, text),
    };
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_nanos(fraction)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hours = below(parts.next()?, 24)?;
    let minutes = below(parts.next()?, 60)?;
    let seconds = parts.next().map_or(Some(0), |it| below(it, 60))?;
    if parts.next().is_some() {
        return None;
    }
    let seconds = days.checked_mul(86_400)?.checked_add(hours * 3600 + minutes * 60 + seconds)?;
    Some(Duration::new(seconds, nanos))
}

fn below(text: &str, limit: u64) -> Option<u64> {
    if text.is_empty() || text.len() > 2 || !text.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|it| *it < limit)
}

fn fraction_nanos(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 7 || !text.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    format!("{text:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read() {
        for (text, expected) in [
            ("00:05:00", Some(Duration::from_secs(300))),
            ("1.02:03:04", Some(Duration::from_secs(93_784))),
            ("00:00:00.80", Some(Duration::from_millis(800))),
            ("00:00:00.0000001", Some(Duration::from_nanos(100))),
            ("00:30", Some(Duration::from_secs(1800))),
            ("2", Some(Duration::from_secs(172_800))),
            ("24:00:00", None),
            ("-00:00:01", None),
            ("", None),
            ("00:00:00:00", None),
            ("00:+5:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
