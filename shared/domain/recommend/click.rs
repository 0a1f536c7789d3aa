//! What shoppers do with items, as far as it says what goes with what.
use std::collections::HashSet;

/// The strongest thing that was done, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    #[default]
    View,
    Cart,
    Purchase,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::View, Kind::Cart, Kind::Purchase];

    /// What it counts beside a view, for popularity and between sessions.
    pub const fn weight(self) -> f32 {
        match self {
            Kind::View => 1.0,
            Kind::Cart => 3.0,
            Kind::Purchase => 5.0,
        }
    }

    pub(super) const fn code(self) -> u32 {
        self as u32
    }

    /// What this file cannot name counts as a view.
    pub(super) const fn of(code: u32) -> Kind {
        match code {
            1 => Kind::Cart,
            2 => Kind::Purchase,
            _ => Kind::View,
        }
    }
}

/// One item, once, in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Click<'a> {
    pub item: &'a str,
    pub kind: Kind,
}

impl<'a> Click<'a> {
    pub const fn view(item: &'a str) -> Click<'a> {
        Click { item, kind: Kind::View }
    }
}

/// Puts clicks of one session in order, each once, where `click` says when, on what and how. Those of one second stay as
/// they came: what is sent at once is mostly of one second, and its order says what follows what.
pub(super) fn put_in_order<T>(clicks: &mut Vec<T>, click: impl Fn(&T) -> (u32, &str, Kind)) {
    clicks.sort_by_key(|it| click(it).0);
    let mut seen = HashSet::new();
    let new: Vec<bool> = clicks.iter().map(|it| seen.insert(click(it))).collect();
    let mut new = new.into_iter();
    clicks.retain(|_| new.next().unwrap_or_default());
}
