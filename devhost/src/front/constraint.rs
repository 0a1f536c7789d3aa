//! The route constraints that are played: int, long, guid, bool, datetime, alpha, length, minlength, maxlength, min, max, range, regex.
use time::{
    Date, OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// One constraint of a route parameter.
#[derive(Debug, Clone)]
pub(super) enum Constraint {
    Int,
    Long,
    Guid,
    Bool,
    DateTime,
    Alpha,
    /// Number of characters, inclusive.
    Length(usize, usize),
    /// Whole number, inclusive.
    Range(i64, i64),
    Regex(regex_lite::Regex),
}

impl Constraint {
    /// Parses `name` or `name(arguments)`; `None` when it is not played or not well formed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
            None => (text, None),
        };
        let numbers = |count: usize| {
            let numbers: Option<Vec<i64>> = arguments?.split(',').map(|it| it.trim().parse().ok()).collect();
            numbers.filter(|it| it.len() == count)
        };
        let size = |value: i64| usize::try_from(value).ok();
        Some(match (name.to_ascii_lowercase().as_str(), arguments) {
            ("int", None) => Self::Int,
            ("long", None) => Self::Long,
            ("guid", None) => Self::Guid,
            ("bool", None) => Self::Bool,
            ("datetime", None) => Self::DateTime,
            ("alpha", None) => Self::Alpha,
            ("length", Some(text)) if text.contains(',') => {
                let bounds = numbers(2)?;
                Self::Length(size(bounds[0])?, size(bounds[1])?)
            }
            ("length", Some(_)) => {
                let length = size(numbers(1)?[0])?;
                Self::Length(length, length)
            }
            ("minlength", Some(_)) => Self::Length(size(numbers(1)?[0])?, usize::MAX),
            ("maxlength", Some(_)) => Self::Length(0, size(numbers(1)?[0])?),
            ("min", Some(_)) => Self::Range(numbers(1)?[0], i64::MAX),
            ("max", Some(_)) => Self::Range(i64::MIN, numbers(1)?[0]),
            ("range", Some(_)) => {
                let bounds = numbers(2)?;
                Self::Range(bounds[0], bounds[1])
            }
            ("regex", Some(pattern)) => Self::Regex(regex(pattern)?),
            _ => return None,
        })
    }

    /// Whether `text` satisfies the constraint.
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Int => text.trim().parse::<i32>().is_ok(),
            Self::Long => text.trim().parse::<i64>().is_ok(),
            Self::Guid => uuid::Uuid::parse_str(text.trim_matches(['(', ')'])).is_ok(),
            Self::Bool => ["true", "false"].iter().any(|it| it.eq_ignore_ascii_case(text.trim())),
            Self::DateTime => is_moment(text.trim()),
            Self::Alpha => text.bytes().all(|it| it.is_ascii_alphabetic()),
            Self::Length(low, high) => (low..=high).contains(&&text.chars().count()),
            Self::Range(low, high) => text.trim().parse::<i64>().is_ok_and(|it| (low..=high).contains(&&it)),
            Self::Regex(pattern) => pattern.is_match(text),
        }
    }
}

/// Inside a template braces and brackets are doubled. Matching ignores case, as ASP.NET's does.
fn regex(pattern: &str) -> Option<regex_lite::Regex> {
    let plain = pattern.replace("{{", "{").replace("}}", "}").replace("[[", "[").replace("]]", "]");
    regex_lite::RegexBuilder::new(&plain).case_insensitive(true).build().ok()
}

/// The forms of a moment that matter in a path; .NET reads a few more of the invariant culture.
fn is_moment(text: &str) -> bool {
    let minutes = format_description!("[year]-[month]-[day][first [T] [ ]][hour]:[minute]");
    let seconds =
        format_description!("[year]-[month]-[day][first [T] [ ]][hour]:[minute]:[second][optional [.[subsecond]]]");
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
        || PrimitiveDateTime::parse(text, minutes).is_ok()
        || PrimitiveDateTime::parse(text, seconds).is_ok()
        || Date::parse(text, format_description!("[year]-[month]-[day]")).is_ok()
        || Date::parse(text, format_description!("[month]/[day]/[year]")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_hold_or_not() {
        for (constraint, yes, no) in [
            ("int", "-7", "2147483648"),
            ("long", "2147483648", "x"),
            ("guid", "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "6F9619FF"),
            ("bool", "TRUE", "1"),
            ("datetime", "2024-05-01", "2024-13-01"),
            ("datetime", "2024-05-01T10:00:00Z", "soon"),
            ("alpha", "abc", "ab1"),
            ("length(3)", "abc", "ab"),
            ("length(1,3)", "abc", "abcd"),
            ("min(2)", "2", "1"),
            ("max(2)", "2", "3"),
            ("range(1,5)", "5", "6"),
            ("regex(^\\d{{3}}$)", "123", "1234"),
        ] {
            let parsed = Constraint::parse(constraint).unwrap();
            assert!(parsed.holds(yes), "{constraint} {yes}");
            assert!(!parsed.holds(no), "{constraint} {no}");
        }
        for text in ["odd", "length", "length()", "range(1)", "regex([)", "int(1)"] {
            assert!(Constraint::parse(text).is_none(), "{text}");
        }
    }
}
