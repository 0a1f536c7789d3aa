//! Patterns that some of the shoppers follow.
use offpeak_domain::recommend::Kind;

/// Items that follow each other in a session.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) what: &'static str,
    pub(crate) items: &'static [&'static str],
    pub(crate) kind: Kind,
    when: When,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    /// In the first half of the days.
    Early,
    /// In the second half.
    Late,
    LastDay,
}

impl Pattern {
    /// Whether shoppers follow it on this day of so many.
    pub(crate) const fn is_open(&self, day: u32, days: u32) -> bool {
        let late = day >= days / 2;
        match self.when {
            When::Always => true,
            When::Early => !late,
            When::Late => late,
            When::LastDay => day + 1 >= days,
        }
    }
}

impl Pattern {
    pub(crate) const fn is_rising(&self) -> bool {
        matches!(self.when, When::LastDay)
    }
}

const fn viewed(what: &'static str, items: &'static [&'static str], when: When) -> Pattern {
    Pattern { what, items, kind: Kind::View, when }
}

pub(crate) const PLANTED: &[Pattern] = &[
    viewed("a sequence", &["tent", "mattress", "stove"], When::Always),
    Pattern { what: "a bundle", items: &["printer", "toner", "paper"], kind: Kind::Purchase, when: When::Always },
    viewed("a rising trend", &["fan", "ice-maker"], When::LastDay),
    viewed("a seasonal switch, before", &["skates", "gloves"], When::Early),
    viewed("a seasonal switch, after", &["skates", "knee-pads"], When::Late),
    viewed("alternatives", &["kettle-red", "kettle-blue"], When::Always),
    viewed("seen together, but no alternatives", &["kettle-red", "tea"], When::Always),
];

/// What the catalogue says of planted items: identifier, category, words. Nobody has looked at the green kettle yet.
pub(crate) const GOODS: &[(&str, &str, &str)] = &[
    ("kettle-red", "kettles", "kettle enamel whistle red"),
    ("kettle-blue", "kettles", "kettle steel cordless blue"),
    ("kettle-green", "kettles", "kettle enamel whistle green"),
    ("tea", "groceries", "tea leaves black"),
    ("fan", "climate", "fan table quiet"),
    ("ice-maker", "climate", "ice maker table"),
];
