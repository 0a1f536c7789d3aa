//! What is asked, where it is shown, and why an item is there.

/// Where a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// What the session may want next; on the home page and on a product's.
    Next,
    /// What completes the cart.
    Cart,
    /// What is bought together with one item.
    Together,
    /// What could be taken instead of one item.
    Similar,
    /// What is asked for of late.
    Trending,
    /// What the session has seen.
    Resume,
}

impl Surface {
    pub const ALL: [Surface; 6] =
        [Surface::Next, Surface::Cart, Surface::Together, Surface::Similar, Surface::Trending, Surface::Resume];

    pub const fn name(self) -> &'static str {
        match self {
            Surface::Next => "next",
            Surface::Cart => "cart",
            Surface::Together => "together",
            Surface::Similar => "similar",
            Surface::Trending => "trending",
            Surface::Resume => "resume",
        }
    }

    pub fn parse(name: &str) -> Option<Surface> {
        Surface::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What may be used of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// Only the item at hand counts.
    #[default]
    Withheld,
}

/// A question.
#[derive(Clone, Copy)]
pub struct Query<'q> {
    pub surface: Surface,
    /// What the session has seen, newest last. The newest is the item at hand.
    pub session: &'q [&'q str],
    pub cart: &'q [&'q str],
    /// Where the shopper is, if anywhere; else the category of the item at hand.
    pub category: Option<&'q str>,
    pub consent: Consent,
    pub limit: usize,
}

/// Why an item is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// Sessions that saw this one saw it too.
    SeenWith(&'a str),
    BoughtWith(&'a str),
    /// Baskets, bought or not, that held this one held it too.
    InCartWith(&'a str),
    /// It is described like this one.
    Like(&'a str),
    TrendingIn(&'a str),
    Trending,
    /// The session itself has seen it.
    Seen,
}

/// An item to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommended<'a> {
    pub id: &'a str,
    pub score: f32,
    pub reason: Reason<'a>,
}
