//! One payment, folded from its entries, and how it is shown.
//!
//! What must stay true: amounts and status follow from the entries alone.
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::ledger::LedgerError;
use crate::brokers::moment;

/// One thing that happened; `amount` in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it is about; happens once.
    pub fact: String,
    pub kind: String,
    pub amount: i64,
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

impl Entry {
    pub(super) fn new(fact: String, kind: &str, amount: i64, at_ms: i64) -> Self {
        Self { fact, kind: kind.to_owned(), amount, reason: None, at_ms }
    }

    /// As the shop is told: `{id, kind, amount, at}`.
    pub(super) fn view(&self, currency: &str) -> Value {
        let kind = match self.kind.as_str() {
            "declined" => "authorise_failed",
            "challenged" => "action_required",
            other => other,
        };
        json!({
            "id": self.fact,
            "kind": kind,
            "amount": { "amount": self.amount.to_string(), "currency": currency },
            "at": moment(self.at_ms).format(&Rfc3339).unwrap_or_default(),
        })
    }
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Authorised,
    Declined { reason: String },
    ActionRequired,
    Voided,
}

impl Status {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Declined { .. } => "declined",
            Self::ActionRequired => "action_required",
            Self::Voided => "voided",
        }
    }
}

/// One payment; amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    pub reference: String,
    pub checkout_id: String,
    pub currency: String,
    pub method: String,
    /// What was asked for.
    pub amount: i64,
    pub status: Status,
    pub authorised: i64,
    pub captured: i64,
    pub refunded: i64,
    pub voided: i64,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

impl Payment {
    /// What may still be captured.
    pub(super) fn capturable(&self) -> i64 {
        self.authorised - self.captured - self.voided
    }

    /// Why the refund of this key came to nothing.
    pub(super) fn refund_failed(&self, key: &str) -> Option<&str> {
        let fact = format!("refund:{key}:failed");
        self.entries.iter().find(|it| it.fact == fact).and_then(|it| it.reason.as_deref())
    }

    fn count(&mut self, entry: Entry) -> Result<(), LedgerError> {
        match entry.kind.as_str() {
            "authorised" => {
                self.authorised += entry.amount;
                self.status = Status::Authorised;
            }
            "declined" => self.status = Status::Declined { reason: entry.reason.clone().unwrap_or_default() },
            "challenged" => self.status = Status::ActionRequired,
            "captured" => self.captured += entry.amount,
            "refunded" => self.refunded += entry.amount,
            "voided" | "expired" => {
                self.voided += entry.amount;
                if self.captured == 0 {
                    self.status = Status::Voided;
                }
            }
            "refund_failed" | "dispute_opened" | "dispute_won" | "dispute_lost" => {}
            _ => return Err(LedgerError::Stored(entry.kind)),
        }
        self.entries.push(entry);
        Ok(())
    }
}

pub(super) fn load(connection: &Connection, reference: &str) -> Result<Payment, LedgerError> {
    let found = connection
        .prepare_cached("SELECT id, checkout_id, amount, currency, method FROM requests WHERE reference = ?1")?
        .query_row([reference], |row| {
            let payment = Payment {
                reference: reference.to_owned(),
                checkout_id: row.get(1)?,
                amount: row.get(2)?,
                currency: row.get(3)?,
                method: row.get(4)?,
                status: Status::ActionRequired,
                authorised: 0,
                captured: 0,
                refunded: 0,
                voided: 0,
                entries: Vec::new(),
            };
            Ok((row.get::<_, i64>(0)?, payment))
        })
        .optional()?;
    let (id, mut payment) = found.ok_or(LedgerError::Unknown)?;
    let mut statement = connection
        .prepare_cached("SELECT fact, kind, amount, reason, at_ms FROM entries WHERE request = ?1 ORDER BY id")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let (fact, kind, amount) = (row.get(0)?, row.get(1)?, row.get(2)?);
        payment.count(Entry { fact, kind, amount, reason: row.get(3)?, at_ms: row.get(4)? })?;
    }
    Ok(payment)
}
