//! The provider's books: what was asked, once per reference, and an append-only list of what happened to it.
//!
//! What must stay true: an event is never changed or removed, amounts are the sum of the events, money moves at most once for each
//! reason (capture, void), and captured + voided never exceed authorised.
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::database::{Database, DatabaseError};

/// The methods of the sandbox.
pub(super) const METHODS: [&str; 4] = ["sandbox_approve", "sandbox_decline", "sandbox_challenge", "sandbox_timeout"];

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS requests(
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    checkout_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events(
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES requests(id),
    kind TEXT NOT NULL CHECK(kind IN ('authorised', 'declined', 'challenged', 'captured', 'voided')),
    amount INTEGER NOT NULL,
    reason TEXT,
    UNIQUE(request, kind)
);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_last BEFORE DELETE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;
";

/// Why the books were not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("the provider has no payment of this reference")]
    Unknown,
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    #[error("{0}")]
    Impossible(&'static str),
    #[error("the books cannot be written or read")]
    Database(#[from] DatabaseError),
    #[error("the books hold an unknown event `{0}`")]
    Stored(String),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(DatabaseError::Statement(error))
    }
}

/// What is asked for; amounts in minor units.
#[derive(Debug, Clone)]
pub(super) struct Authorisation {
    pub reference: String,
    pub checkout_id: String,
    pub amount: i64,
    pub currency: String,
    pub method: String,
}

/// Whether a request was made now or repeats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    First,
    Again,
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

/// One payment, folded from its events; amounts in minor units.
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
}

/// The books.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    database: Database,
}

impl Ledger {
    pub(super) fn open(file: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { database: Database::open(file, SCHEMA)? })
    }

    /// Makes the payment once; a repeat of the same request answers what became of it.
    pub(super) async fn authorise(&self, request: Authorisation) -> Result<(Payment, Answered), LedgerError> {
        self.database
            .write(move |connection| {
                let answered = if insert(connection, &request)? { Answered::First } else { Answered::Again };
                let payment = load(connection, &request.reference)?;
                let same = payment.checkout_id == request.checkout_id
                    && payment.amount == request.amount
                    && payment.currency == request.currency
                    && payment.method == request.method;
                if same { Ok((payment, answered)) } else { Err(LedgerError::KeyReused) }
            })
            .await
    }

    pub(super) async fn find(&self, reference: &str) -> Result<Payment, LedgerError> {
        let reference = reference.to_owned();
        self.database.read(move |connection| load(connection, &reference)).await
    }

    pub(super) async fn all(&self) -> Result<Vec<Payment>, LedgerError> {
        self.database
            .read(|connection| {
                let mut statement = connection.prepare_cached("SELECT reference FROM requests ORDER BY id")?;
                let references: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                references.iter().map(|reference| load(connection, reference)).collect()
            })
            .await
    }

    /// Takes the whole authorised amount; a repeat changes nothing.
    pub(super) async fn capture(&self, reference: &str) -> Result<Payment, LedgerError> {
        self.change(reference, |payment| match payment.status {
            _ if payment.captured > 0 => Ok(None),
            Status::Authorised => Ok(Some(("captured", payment.authorised))),
            Status::Voided => Err(LedgerError::Impossible("a voided payment cannot be captured")),
            Status::Declined { .. } => Err(LedgerError::Impossible("a declined payment cannot be captured")),
            Status::ActionRequired => Err(LedgerError::Impossible("the buyer has not answered the challenge")),
        })
        .await
    }

    /// Gives back what is authorised and not captured; a repeat changes nothing. A challenge that is still open is closed, so that
    /// the buyer can no longer approve it.
    pub(super) async fn void(&self, reference: &str) -> Result<Payment, LedgerError> {
        self.change(reference, |payment| match payment.status {
            _ if payment.captured > 0 => Err(LedgerError::Impossible("a captured payment cannot be voided")),
            Status::Voided | Status::Declined { .. } => Ok(None),
            Status::Authorised | Status::ActionRequired => Ok(Some(("voided", payment.authorised))),
        })
        .await
    }

    /// The buyer's answer on the challenge page; only the first one counts.
    pub(super) async fn answer_challenge(&self, reference: &str, approved: bool) -> Result<Payment, LedgerError> {
        self.change(reference, move |payment| match payment.status {
            Status::ActionRequired if approved => Ok(Some(("authorised", payment.amount))),
            Status::ActionRequired => Ok(Some(("declined", 0))),
            _ => Ok(None),
        })
        .await
    }

    async fn change<F>(&self, reference: &str, decide: F) -> Result<Payment, LedgerError>
    where
        F: FnOnce(&Payment) -> Result<Option<(&'static str, i64)>, LedgerError> + Send + 'static,
    {
        let reference = reference.to_owned();
        self.database
            .write(move |connection| {
                let payment = load(connection, &reference)?;
                let Some((kind, amount)) = decide(&payment)? else { return Ok(payment) };
                let reason = (kind == "declined").then_some("declined by the buyer");
                append(connection, &reference, kind, amount, reason)?;
                load(connection, &reference)
            })
            .await
    }
}

/// `false` when the reference is known already.
fn insert(connection: &Connection, request: &Authorisation) -> Result<bool, LedgerError> {
    let made = connection
        .prepare_cached(
            "INSERT INTO requests(reference, checkout_id, amount, currency, method) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(reference) DO NOTHING",
        )?
        .execute(params![request.reference, request.checkout_id, request.amount, request.currency, request.method])?;
    if made == 0 {
        return Ok(false);
    }
    match request.method.as_str() {
        "sandbox_decline" => append(connection, &request.reference, "declined", 0, Some("declined by the sandbox"))?,
        "sandbox_challenge" => append(connection, &request.reference, "challenged", 0, None)?,
        _ => append(connection, &request.reference, "authorised", request.amount, None)?,
    }
    Ok(true)
}

fn append(
    connection: &Connection,
    reference: &str,
    kind: &str,
    amount: i64,
    reason: Option<&str>,
) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "INSERT INTO events(request, kind, amount, reason)
             SELECT id, ?2, ?3, ?4 FROM requests WHERE reference = ?1",
        )?
        .execute(params![reference, kind, amount, reason])?;
    Ok(())
}

fn load(connection: &Connection, reference: &str) -> Result<Payment, LedgerError> {
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
            };
            Ok((row.get::<_, i64>(0)?, payment))
        })
        .optional()?;
    let (id, mut payment) = found.ok_or(LedgerError::Unknown)?;
    let mut statement =
        connection.prepare_cached("SELECT kind, amount, reason FROM events WHERE request = ?1 ORDER BY id")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let (kind, amount): (String, i64) = (row.get(0)?, row.get(1)?);
        match kind.as_str() {
            "authorised" => {
                payment.authorised += amount;
                payment.status = Status::Authorised;
            }
            "declined" => {
                payment.status = Status::Declined { reason: row.get::<_, Option<String>>(2)?.unwrap_or_default() };
            }
            "challenged" => payment.status = Status::ActionRequired,
            "captured" => payment.captured += amount,
            "voided" => {
                payment.voided += amount;
                payment.status = Status::Voided;
            }
            _ => return Err(LedgerError::Stored(kind)),
        }
    }
    Ok(payment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(reference: &str, method: &str) -> Authorisation {
        Authorisation {
            reference: reference.to_owned(),
            checkout_id: "chk_1".to_owned(),
            amount: 1_999,
            currency: "EUR".to_owned(),
            method: method.to_owned(),
        }
    }

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        Ledger::open(&folder.path().join("provider.db")).unwrap()
    }

    #[tokio::test]
    async fn a_reference_is_one_payment() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        let (first, again) = tokio::join!(
            books.authorise(request("pay_1", "sandbox_approve")),
            books.authorise(request("pay_1", "sandbox_approve"))
        );
        assert_eq!(first.unwrap().1, Answered::First);
        assert_eq!(again.unwrap().1, Answered::Again);
        let other = Authorisation { amount: 2_000, ..request("pay_1", "sandbox_approve") };
        assert!(matches!(books.authorise(other).await, Err(LedgerError::KeyReused)));
        // The books survive being closed.
        drop(books);
        assert_eq!(ledger(&folder).all().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn money_moves_once_and_in_one_direction() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        for reference in ["a", "b"] {
            books.authorise(request(reference, "sandbox_approve")).await.unwrap();
        }
        let (one, two) = tokio::join!(books.capture("a"), books.capture("a"));
        assert_eq!((one.unwrap().captured, two.unwrap().captured), (1_999, 1_999));
        assert!(matches!(books.void("a").await, Err(LedgerError::Impossible(_))));
        let voided = books.void("b").await.unwrap();
        assert_eq!((voided.status, voided.voided), (Status::Voided, 1_999));
        assert_eq!(books.void("b").await.unwrap().voided, 1_999);
        assert!(matches!(books.capture("b").await, Err(LedgerError::Impossible(_))));
        assert!(matches!(books.capture("c").await, Err(LedgerError::Unknown)));
        books.authorise(request("d", "sandbox_decline")).await.unwrap();
        assert!(matches!(books.capture("d").await, Err(LedgerError::Impossible(_))));
    }

    #[tokio::test]
    async fn only_the_first_answer_to_a_challenge_counts() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        let (asked, _) = books.authorise(request("a", "sandbox_challenge")).await.unwrap();
        assert_eq!((asked.status, asked.authorised), (Status::ActionRequired, 0));
        assert_eq!(books.answer_challenge("a", true).await.unwrap().authorised, 1_999);
        assert_eq!(books.answer_challenge("a", false).await.unwrap().status, Status::Authorised);
        books.authorise(request("b", "sandbox_challenge")).await.unwrap();
        books.void("b").await.unwrap();
        assert_eq!(books.answer_challenge("b", true).await.unwrap().status, Status::Voided);
    }
}
