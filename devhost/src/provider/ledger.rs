//! The provider's books: what was asked, once per reference, and an append-only list of what happened to it.
//!
//! What must stay true: an entry is never changed or removed, amounts are the sum of the entries, an operation's key is worked on
//! once and only with the amount it first came with, captured + voided never exceed authorised and refunded never exceeds captured.
//! A reference that was given up before it was asked for stays barred. Whatever is entered is also put down to be told to the shop,
//! in the same commit.
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::fold::{Entry, Payment, Status, load};
use super::notices;
use crate::database::{Database, DatabaseError};

/// The methods of the sandbox.
pub(super) const METHODS: [&str; 5] =
    ["sandbox_approve", "sandbox_decline", "sandbox_challenge", "sandbox_timeout", "sandbox_refund_fails"];

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS requests(
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    checkout_id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES requests(id),
    -- What it is about, e.g. `capture:<key>`: happens once.
    fact TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK(amount >= 0),
    reason TEXT,
    at_ms INTEGER NOT NULL,
    UNIQUE(request, fact)
);
CREATE TABLE IF NOT EXISTS barred(reference TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_last BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
";

/// Why the books were not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("the provider has no payment of this reference")]
    Unknown,
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    #[error("{0}")]
    Impossible(String),
    #[error("the books cannot be written or read")]
    Database(#[from] DatabaseError),
    #[error("the books hold an unknown entry `{0}`")]
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

/// A part of the money to take or to give back; `amount` in minor units of `currency`.
#[derive(Debug, Clone)]
pub(super) struct Movement {
    pub key: String,
    pub amount: i64,
    pub currency: String,
}

/// Whether a request was made now or repeats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    First,
    Again,
}

/// What the buyer's bank does on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BankAct {
    /// What is authorised and not taken lapses.
    Expire,
    DisputeOpened,
    DisputeWon,
    DisputeLost,
}

/// The books.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) database: Database,
}

impl Ledger {
    pub(super) fn open(file: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { database: Database::open(file, &format!("{SCHEMA}{}", notices::SCHEMA))? })
    }

    /// Makes the payment once; a repeat of the same request answers what became of it.
    pub(super) async fn authorise(
        &self,
        request: Authorisation,
        at_ms: i64,
    ) -> Result<(Payment, Answered), LedgerError> {
        self.database
            .write(move |connection| {
                let answered = if insert(connection, &request, at_ms)? { Answered::First } else { Answered::Again };
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

    /// Takes a part or all of what is authorised.
    pub(super) async fn capture(
        &self,
        reference: &str,
        movement: Movement,
        at_ms: i64,
    ) -> Result<Payment, LedgerError> {
        let entry = Entry::new(format!("capture:{}", movement.key), "captured", movement.amount, at_ms);
        self.change(reference, move |payment| {
            if is_repeat(payment, &entry, &movement)? {
                return Ok(None);
            }
            match payment.status {
                Status::Authorised if movement.amount <= payment.capturable() => Ok(Some(entry)),
                Status::Authorised => impossible(format!("only {} can still be captured", payment.capturable())),
                Status::Voided => impossible("a voided payment cannot be captured"),
                Status::Declined { .. } => impossible("a declined payment cannot be captured"),
                Status::ActionRequired => impossible("the buyer has not answered the challenge"),
            }
        })
        .await
    }

    /// Gives back a part or all of what is captured. `sandbox_refund_fails` refuses the first one, for good.
    pub(super) async fn refund(&self, reference: &str, movement: Movement, at_ms: i64) -> Result<Payment, LedgerError> {
        let fact = format!("refund:{}", movement.key);
        self.change(reference, move |payment| {
            let entry = Entry::new(fact.clone(), "refunded", movement.amount, at_ms);
            let failed = Entry {
                reason: Some("the buyer's bank refused the refund".to_owned()),
                ..Entry::new(format!("{fact}:failed"), "refund_failed", movement.amount, at_ms)
            };
            if is_repeat(payment, &entry, &movement)? || is_repeat(payment, &failed, &movement)? {
                return Ok(None);
            }
            let refuses = payment.method == "sandbox_refund_fails";
            match payment.captured - payment.refunded {
                left if movement.amount > left => impossible(format!("only {left} can still be refunded")),
                _ if refuses && !payment.entries.iter().any(|it| it.kind == "refund_failed") => Ok(Some(failed)),
                _ => Ok(Some(entry)),
            }
        })
        .await
    }

    /// Gives back what is authorised and not captured; where nothing is left, nothing happens. A challenge that is still open is
    /// closed, so that the buyer can no longer approve it. A reference nobody knows is barred: `None`.
    pub(super) async fn void(&self, reference: &str, at_ms: i64) -> Result<Option<Payment>, LedgerError> {
        let reference = reference.to_owned();
        self.database
            .write(move |connection| {
                let payment = match load(connection, &reference) {
                    Ok(payment) => payment,
                    Err(LedgerError::Unknown) => {
                        connection
                            .prepare_cached("INSERT INTO barred(reference) VALUES (?1) ON CONFLICT DO NOTHING")?
                            .execute([&reference])?;
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                };
                let open = payment.status == Status::ActionRequired || payment.capturable() > 0;
                if open {
                    append(
                        connection,
                        &payment,
                        &Entry::new("voided".to_owned(), "voided", payment.capturable(), at_ms),
                    )?;
                }
                load(connection, &reference).map(Some)
            })
            .await
    }

    /// The buyer's answer on the challenge page; only the first one counts.
    pub(super) async fn answer_challenge(
        &self,
        reference: &str,
        approved: bool,
        at_ms: i64,
    ) -> Result<Payment, LedgerError> {
        self.change(reference, move |payment| match payment.status {
            Status::ActionRequired if approved => {
                Ok(Some(Entry::new("authorised".to_owned(), "authorised", payment.amount, at_ms)))
            }
            Status::ActionRequired => Ok(Some(declined("declined by the buyer", at_ms))),
            _ => Ok(None),
        })
        .await
    }

    /// What the bank does without being asked by the shop; a repeat changes nothing.
    pub(super) async fn bank(&self, reference: &str, act: BankAct, at_ms: i64) -> Result<Payment, LedgerError> {
        self.change(reference, move |payment| {
            let (fact, kind, amount) = match act {
                BankAct::Expire => ("voided", "expired", payment.capturable()),
                BankAct::DisputeOpened => ("dispute:1:opened", "dispute_opened", payment.captured),
                BankAct::DisputeWon => ("dispute:1:won", "dispute_won", payment.captured),
                BankAct::DisputeLost => ("dispute:1:lost", "dispute_lost", payment.captured),
            };
            let known = payment.entries.iter().any(|it| it.fact == fact);
            if amount == 0 && !known {
                return impossible("there is no money in this payment to do that with");
            }
            Ok((!known).then(|| Entry::new(fact.to_owned(), kind, amount, at_ms)))
        })
        .await
    }

    async fn change<F>(&self, reference: &str, decide: F) -> Result<Payment, LedgerError>
    where
        F: FnOnce(&Payment) -> Result<Option<Entry>, LedgerError> + Send + 'static,
    {
        let reference = reference.to_owned();
        self.database
            .write(move |connection| {
                let payment = load(connection, &reference)?;
                let Some(entry) = decide(&payment)? else { return Ok(payment) };
                append(connection, &payment, &entry)?;
                load(connection, &reference)
            })
            .await
    }
}

fn impossible<T>(why: impl Into<String>) -> Result<T, LedgerError> {
    Err(LedgerError::Impossible(why.into()))
}

fn is_repeat(payment: &Payment, entry: &Entry, movement: &Movement) -> Result<bool, LedgerError> {
    if movement.currency != payment.currency {
        return impossible(format!("the payment is in {}", payment.currency));
    }
    match payment.entries.iter().find(|it| it.fact == entry.fact) {
        None => Ok(false),
        Some(known) if known.amount == movement.amount => Ok(true),
        Some(_) => Err(LedgerError::KeyReused),
    }
}

fn declined(reason: &str, at_ms: i64) -> Entry {
    Entry { reason: Some(reason.to_owned()), ..Entry::new("declined".to_owned(), "declined", 0, at_ms) }
}

/// `false` when the reference is known already.
fn insert(connection: &Connection, request: &Authorisation, at_ms: i64) -> Result<bool, LedgerError> {
    let made = connection
        .prepare_cached(
            "INSERT INTO requests(reference, checkout_id, amount, currency, method) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(reference) DO NOTHING",
        )?
        .execute(params![request.reference, request.checkout_id, request.amount, request.currency, request.method])?;
    if made == 0 {
        return Ok(false);
    }
    let barred: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM barred WHERE reference = ?1")?
        .query_row([&request.reference], |row| row.get(0))
        .optional()?;
    let entry = |name: &str, amount| Entry::new(name.to_owned(), name, amount, at_ms);
    let first = match request.method.as_str() {
        _ if barred.is_some() => Entry::new("voided".to_owned(), "voided", 0, at_ms),
        "sandbox_decline" => declined("declined by the sandbox", at_ms),
        "sandbox_challenge" => entry("challenged", 0),
        _ => entry("authorised", request.amount),
    };
    let payment = load(connection, &request.reference)?;
    append(connection, &payment, &first)?;
    Ok(true)
}

fn append(connection: &Connection, payment: &Payment, entry: &Entry) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "INSERT INTO entries(request, fact, kind, amount, reason, at_ms)
             SELECT id, ?2, ?3, ?4, ?5, ?6 FROM requests WHERE reference = ?1",
        )?
        .execute(params![payment.reference, entry.fact, entry.kind, entry.amount, entry.reason, entry.at_ms])?;
    notices::put_down(connection, payment, entry)
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

    fn part(key: &str, amount: i64) -> Movement {
        Movement { key: key.to_owned(), amount, currency: "EUR".to_owned() }
    }

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        Ledger::open(&folder.path().join("provider.db")).unwrap()
    }

    #[tokio::test]
    async fn a_reference_is_one_payment() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        let (first, again) = tokio::join!(
            books.authorise(request("pay_1", "sandbox_approve"), 0),
            books.authorise(request("pay_1", "sandbox_approve"), 0)
        );
        assert_eq!(first.unwrap().1, Answered::First);
        assert_eq!(again.unwrap().1, Answered::Again);
        let other = Authorisation { amount: 2_000, ..request("pay_1", "sandbox_approve") };
        assert!(matches!(books.authorise(other, 0).await, Err(LedgerError::KeyReused)));
        // The books survive being closed.
        drop(books);
        assert_eq!(ledger(&folder).all().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn money_moves_once_for_each_key_and_never_further_than_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        for reference in ["a", "b", "c"] {
            books.authorise(request(reference, "sandbox_approve"), 0).await.unwrap();
        }
        let (one, two) = tokio::join!(books.capture("a", part("k", 1_000), 0), books.capture("a", part("k", 1_000), 0));
        assert_eq!((one.unwrap().captured, two.unwrap().captured), (1_000, 1_000));
        assert!(matches!(books.capture("a", part("k", 999), 0).await, Err(LedgerError::KeyReused)));
        assert!(matches!(books.capture("a", part("l", 1_000), 0).await, Err(LedgerError::Impossible(_))));
        let dollars = Movement { currency: "USD".to_owned(), ..part("l", 1) };
        assert!(matches!(books.capture("a", dollars, 0).await, Err(LedgerError::Impossible(_))));
        assert_eq!(books.capture("a", part("l", 900), 0).await.unwrap().captured, 1_900);
        let rest = books.void("a", 0).await.unwrap().unwrap();
        assert_eq!((rest.status, rest.captured, rest.voided), (Status::Authorised, 1_900, 99));
        assert!(matches!(books.capture("a", part("m", 1), 0).await, Err(LedgerError::Impossible(_))));

        assert!(matches!(books.refund("a", part("r", 1_901), 0).await, Err(LedgerError::Impossible(_))));
        assert_eq!(books.refund("a", part("r", 900), 0).await.unwrap().refunded, 900);
        assert_eq!(books.refund("a", part("r", 900), 0).await.unwrap().refunded, 900);
        assert!(matches!(books.refund("a", part("r", 1), 0).await, Err(LedgerError::KeyReused)));
        assert_eq!(books.refund("a", part("s", 1_000), 0).await.unwrap().refunded, 1_900);
        assert!(matches!(books.refund("a", part("t", 1), 0).await, Err(LedgerError::Impossible(_))));

        let voided = books.void("b", 0).await.unwrap().unwrap();
        assert_eq!((voided.status, voided.voided), (Status::Voided, 1_999));
        assert_eq!(books.void("b", 0).await.unwrap().unwrap().voided, 1_999);
        assert!(matches!(books.capture("b", part("k", 1), 0).await, Err(LedgerError::Impossible(_))));
        assert!(matches!(books.capture("z", part("k", 1), 0).await, Err(LedgerError::Unknown)));
        assert_eq!(books.capture("c", part("k", 1_999), 0).await.unwrap().captured, 1_999);
        assert_eq!(books.void("c", 0).await.unwrap().unwrap().voided, 0, "nothing is left to give back");
        books.authorise(request("d", "sandbox_decline"), 0).await.unwrap();
        assert!(matches!(books.capture("d", part("k", 1), 0).await, Err(LedgerError::Impossible(_))));
    }

    #[tokio::test]
    async fn what_was_given_up_before_it_was_asked_for_comes_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        assert_eq!(books.void("late", 0).await.unwrap(), None);
        assert_eq!(books.void("late", 0).await.unwrap(), None);
        assert_eq!(books.all().await.unwrap(), []);
        for method in ["sandbox_approve", "sandbox_approve"] {
            let (late, _) = books.authorise(request("late", method), 0).await.unwrap();
            assert_eq!((late.status, late.authorised), (Status::Voided, 0));
        }
    }

    #[tokio::test]
    async fn a_refund_that_fails_fails_for_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        books.authorise(request("a", "sandbox_refund_fails"), 0).await.unwrap();
        books.capture("a", part("k", 1_999), 0).await.unwrap();
        for _ in 0..2 {
            let failed = books.refund("a", part("r", 500), 0).await.unwrap();
            assert_eq!((failed.refunded, failed.refund_failed("r")), (0, Some("the buyer's bank refused the refund")));
        }
        let paid_back = books.refund("a", part("s", 500), 0).await.unwrap();
        assert_eq!((paid_back.refunded, paid_back.refund_failed("s")), (500, None));
    }

    #[tokio::test]
    async fn only_the_first_answer_to_a_challenge_counts() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        let (asked, _) = books.authorise(request("a", "sandbox_challenge"), 0).await.unwrap();
        assert_eq!((asked.status, asked.authorised), (Status::ActionRequired, 0));
        assert_eq!(books.answer_challenge("a", true, 0).await.unwrap().authorised, 1_999);
        assert_eq!(books.answer_challenge("a", false, 0).await.unwrap().status, Status::Authorised);
        books.authorise(request("b", "sandbox_challenge"), 0).await.unwrap();
        books.void("b", 0).await.unwrap();
        assert_eq!(books.answer_challenge("b", true, 0).await.unwrap().status, Status::Voided);
    }

    #[tokio::test]
    async fn the_bank_acts_once() {
        let folder = tempfile::tempdir().unwrap();
        let books = ledger(&folder);
        books.authorise(request("a", "sandbox_approve"), 0).await.unwrap();
        assert!(matches!(books.bank("a", BankAct::DisputeOpened, 0).await, Err(LedgerError::Impossible(_))));
        books.capture("a", part("k", 999), 0).await.unwrap();
        for _ in 0..2 {
            assert_eq!(books.bank("a", BankAct::Expire, 0).await.unwrap().voided, 1_000);
            assert_eq!(books.bank("a", BankAct::DisputeOpened, 0).await.unwrap().entries.len(), 4);
        }
    }
}
