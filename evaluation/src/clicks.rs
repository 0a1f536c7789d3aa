//! Files of clicks: `SessionId ItemId Time`, tab-separated, with a line of headings; the time in seconds since 1970,
//! or in milliseconds.
use std::{collections::HashMap, fs, path::Path};

use offpeak_domain::recommend::{Builder, Click, Kind};

use crate::failure::Failure;

/// One session: when each click was, and on what, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Session<'a> {
    pub(crate) clicks: Vec<(u32, Click<'a>)>,
}

impl Session<'_> {
    pub(crate) fn ended(&self) -> u32 {
        self.clicks.last().map_or(0, |it| it.0)
    }
}

pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|err| Failure::file("read", path, &err))
}

/// The sessions of a file, by the time of their last click. A fourth column may say what was done: `view`, `cart` or
/// `purchase`.
pub(crate) fn sessions<'a>(text: &'a str, path: &Path) -> Result<Vec<Session<'a>>, Failure> {
    let mut number = HashMap::<&str, usize>::new();
    let mut rows: Vec<(u64, usize, Click<'_>)> = Vec::new();
    for (line, row) in text.lines().enumerate().skip(1).filter(|(_, row)| !row.is_empty()) {
        let (session, time, click) = row_of(row)
            .ok_or_else(|| Failure::new(format!("{}, line {}: no session, item and time", path.display(), line + 1)))?;
        let next = number.len();
        rows.push((time, *number.entry(session).or_insert(next), click));
    }
    rows.sort_by_key(|it| it.0);
    let mut sessions: Vec<Session<'_>> = Vec::new();
    sessions.resize_with(number.len(), Session::default);
    for (time, session, click) in rows {
        sessions[session].clicks.push((u32::try_from(time / 1000).unwrap_or(u32::MAX), click));
    }
    sessions.sort_by_key(Session::ended);
    Ok(sessions)
}

/// Session, milliseconds since 1970, click.
fn row_of(row: &str) -> Option<(&str, u64, Click<'_>)> {
    let mut columns = row.split('\t');
    let (session, item, time) = (columns.next()?, columns.next()?, columns.next()?);
    let (whole, part) = time.split_once('.').unwrap_or((time, ""));
    let (whole, part) = (whole.parse::<u64>().ok()?, format!("{part:0<3}"));
    let part = part.get(..3)?.parse::<u64>().ok()?;
    let time = if whole > u64::from(u32::MAX) { whole } else { whole * 1000 + part };
    let kind = match columns.next() {
        None | Some("view") => Kind::View,
        Some("cart") => Kind::Cart,
        Some("purchase") => Kind::Purchase,
        Some(_) => return None,
    };
    let known = !session.is_empty() && !item.is_empty();
    known.then_some((session, time, Click { item, kind }))
}

/// A builder that has seen these sessions.
pub(crate) fn fill(mut builder: Builder, sessions: &[Session<'_>]) -> Builder {
    for session in sessions {
        builder.add(session.ended(), session.clicks.iter().map(|it| it.1));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_in_time_order_and_so_are_their_clicks() {
        let text = "SessionId\tItemId\tTime\n7\ta\t30.5\n7\tb\t10.9\n8\tc\t20\tcart\n7\td\t30.25\n";
        let sessions = sessions(text, Path::new("x")).unwrap();
        assert_eq!(sessions.iter().map(Session::ended).collect::<Vec<_>>(), [20, 30]);
        assert_eq!(sessions[0].clicks, [(20, Click { item: "c", kind: Kind::Cart })]);
        assert_eq!(sessions[1].clicks, [(10, Click::view("b")), (30, Click::view("d")), (30, Click::view("a"))]);
    }

    #[test]
    fn milliseconds_are_told_by_their_size() {
        let text = "SessionId\tItemId\tTime\n7\ta\t1592337718250\n7\tb\t1592337718.0\n";
        let sessions = sessions(text, Path::new("x")).unwrap();
        let all: Vec<_> = sessions[0].clicks.iter().map(|it| (it.0, it.1.item)).collect();
        assert_eq!(all, [(1_592_337_718, "b"), (1_592_337_718, "a")]);
    }

    #[test]
    fn a_row_that_is_none_is_named() {
        for bad in ["7\ta", "7\ta\tnoon", "\ta\t1", "7\ta\t1\tlook"] {
            let text = format!("SessionId\tItemId\tTime\n7\ta\t1\n{bad}\n");
            assert!(sessions(&text, Path::new("x")).unwrap_err().to_string().contains("line 3"), "{bad}");
        }
    }
}
