//! What a check of the store found, by invariant. Bounded: beyond the first findings only their number is kept.
use serde::{Deserialize, Serialize};

/// Findings kept of each invariant.
pub const VIOLATIONS_MAX: usize = 100;

/// What must hold whatever happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// On hand and promised are the sums of the movements, promised is what open orders need, nothing is oversold.
    I1,
    /// The parts of an order's price are its total, to the minor unit.
    I2,
    /// The provider's ledger is ours; an order is paid once; nobody's money is kept without an order.
    I3,
    /// One cart, one checkout, one order; one key, one answer.
    I4,
    /// A counter of uses is its live claims, and those are the live orders that use it.
    I5,
    /// Stored value: no balance below zero.
    I6,
    /// One event for each change, one effect for each event.
    I7,
}

impl Invariant {
    pub const ALL: [Invariant; 7] =
        [Invariant::I1, Invariant::I2, Invariant::I3, Invariant::I4, Invariant::I5, Invariant::I6, Invariant::I7];

    pub const fn name(self) -> &'static str {
        match self {
            Invariant::I1 => "I1",
            Invariant::I2 => "I2",
            Invariant::I3 => "I3",
            Invariant::I4 => "I4",
            Invariant::I5 => "I5",
            Invariant::I6 => "I6",
            Invariant::I7 => "I7",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Invariant::I1 => "stock: what is on hand and promised is what moved and what open orders need",
            Invariant::I2 => "prices: the parts of an order are its total",
            Invariant::I3 => "payments: the provider's ledger is ours, and each order is paid once",
            Invariant::I4 => "identity: one cart, one checkout, one order",
            Invariant::I5 => "promotions: uses counted are uses claimed are uses ordered",
            Invariant::I6 => "stored value: the shop sells none yet, so there is nothing to check",
            Invariant::I7 => "messages: one event for each change, one effect for each event",
        }
    }
}

/// One thing that is not as it must be, seen twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    pub invariant: Invariant,
    /// An order, a checkout, a SKU or a promotion.
    pub subject: String,
    pub detail: String,
}

impl Violation {
    pub fn new(invariant: Invariant, subject: impl Into<String>, detail: impl Into<String>) -> Violation {
        Violation { invariant, subject: subject.into(), detail: detail.into() }
    }
}

/// What was found so far about one invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Subjects that were judged.
    pub checked: u64,
    /// The first [`VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
    /// Found beyond those.
    pub more: u64,
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub tallies: [Tally; Invariant::ALL.len()],
    /// Purchases looked at, judged or not.
    pub purchases: u64,
    /// Subjects that were changing, or had changed less than two minutes before.
    pub busy: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.tallies.iter().all(|it| it.violations.is_empty())
    }

    pub fn tally(&self, invariant: Invariant) -> &Tally {
        &self.tallies[invariant as usize]
    }

    /// One subject was judged under these invariants.
    pub fn judged(&mut self, invariants: &[Invariant], violations: Vec<Violation>) {
        for invariant in invariants {
            self.tallies[*invariant as usize].checked += 1;
        }
        for violation in violations {
            let tally = &mut self.tallies[violation.invariant as usize];
            if tally.violations.len() < VIOLATIONS_MAX {
                tally.violations.push(violation);
            } else {
                tally.more += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_bounded_and_their_number_is_not_lost() {
        let mut report = Report::default();
        assert!(report.is_ok());
        for n in 0..150 {
            report.judged(&[Invariant::I1, Invariant::I7], vec![Violation::new(Invariant::I7, n.to_string(), "lost")]);
        }
        let tally = report.tally(Invariant::I7);
        assert_eq!((tally.checked, tally.violations.len(), tally.more), (150, VIOLATIONS_MAX, 50));
        assert_eq!(report.tally(Invariant::I1).checked, 150);
        assert!(!report.is_ok());
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
