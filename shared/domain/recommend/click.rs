//! What shoppers do with items, as far as it says what goes with what.

/// The strongest thing that was done, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
