//! What became of every row.
use super::rows::RefusedRow;

/// Refused rows that are listed; all are counted.
const LISTED_MAX: usize = 10_000;

/// What became of a row that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    Refused(RefusedRow),
}

/// Counts are rows. Each row read is created, updated, unchanged or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    pub dry_run: bool,
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub refused: u64,
    /// By line, the first [`LISTED_MAX`] found.
    pub refusals: Vec<RefusedRow>,
    /// Columns that were not understood.
    pub ignored: Vec<String>,
}

impl ImportReport {
    pub(super) fn new(dry_run: bool) -> ImportReport {
        ImportReport {
            dry_run,
            read: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            refused: 0,
            refusals: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// Rows that the shop sells now.
    pub fn loaded(&self) -> u64 {
        self.created + self.updated + self.unchanged
    }

    pub(super) fn refuse(&mut self, row: RefusedRow) {
        self.refused += 1;
        if self.refusals.len() < LISTED_MAX {
            self.refusals.push(row);
        }
    }

    pub(super) fn add(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Created => self.created += 1,
                Outcome::Updated => self.updated += 1,
                Outcome::Unchanged => self.unchanged += 1,
                Outcome::Refused(row) => self.refuse(row),
            }
        }
    }

    pub(super) fn finish(&mut self, read: u64, ignored: Vec<String>) {
        self.read = read;
        self.ignored = ignored;
        self.refusals.sort_by_key(|it| it.line);
    }
}
