//! Webhooks: what happened to a payment, told to the shop until it says that it heard.
//!
//! What must stay true: a notice is put down in the commit of what it tells; it is told again, ever more slowly, until the shop
//! answers 2xx, however often this process is killed; each telling is signed anew over `timestamp.body`. The shop may be told late,
//! often and in any order: that is what real providers do, and what [`Mode`] makes happen on purpose.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fold::{Entry, Payment};
use super::ledger::LedgerError;
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS notices(
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    -- When it is told next; absent once it was heard, or given up.
    due_ms INTEGER
);
CREATE INDEX IF NOT EXISTS notices_due ON notices(due_ms) WHERE due_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS notices_mode(id INTEGER PRIMARY KEY CHECK(id = 1), mode TEXT NOT NULL);
";

/// How often it is looked what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Notices told in one round, one after another.
const ROUND_MAX: i64 = 32;
/// How long the shop has for its answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// A notice rests twice as long after each try, from the first of these to the second.
const REST_FIRST_MS: i64 = 1_000;
const REST_MAX_MS: i64 = 10 * 60 * 1_000;
/// Tries of one notice: with these rests about three days.
const TRIES_MAX: i64 = 440;
/// Most copies of one notice that can be asked for.
const COPIES_MAX: u32 = 5;
/// Longest delay that can be asked for: a week.
const DELAY_MAX_MS: i64 = 7 * 24 * 3_600_000;

/// How the shop is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Mode {
    /// How often each notice is told although it was heard.
    pub copies: u32,
    /// How long after it happened.
    pub delay_ms: i64,
    /// Newest first.
    pub reversed: bool,
    /// Nothing is told for now.
    pub paused: bool,
}

impl Default for Mode {
    /// A moment late, as over a real network: the shop's own call has usually told it the same by then.
    fn default() -> Self {
        Self { copies: 1, delay_ms: 1_000, reversed: false, paused: false }
    }
}

impl Mode {
    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let sound = (1..=COPIES_MAX).contains(&self.copies) && (0..=DELAY_MAX_MS).contains(&self.delay_ms);
        (!sound).then(|| format!("copies are 1 to {COPIES_MAX}, delayMs 0 to {DELAY_MAX_MS}"))
    }
}

/// Puts down what is to be told, in the commit of what happened. Its id follows from what it is about.
pub(super) fn put_down(connection: &Connection, payment: &Payment, entry: &Entry) -> Result<(), LedgerError> {
    let body = json!({
        "id": format!("evt_{}:{}", payment.reference, entry.fact),
        "reference": payment.reference,
        "checkoutId": payment.checkout_id,
        "fact": entry.view(&payment.currency),
    });
    connection
        .prepare_cached("INSERT INTO notices(body, made_ms, due_ms) VALUES (?1, ?2, ?2)")?
        .execute(params![body.to_string(), entry.at_ms])?;
    Ok(())
}

/// A notice on its way.
struct Due {
    id: i64,
    body: String,
    tries: i64,
}

/// Tells the shop.
pub(super) struct Teller {
    database: Database,
    clock: Arc<dyn Clock>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Where the shop listens.
    target: String,
    key: hmac::Key,
    mode: Mutex<Mode>,
}

impl Teller {
    /// Tells `target` with signatures by `secret`, in the mode that was set last.
    pub(super) fn new(database: Database, clock: Arc<dyn Clock>, target: String, secret: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(HttpConnector::new());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { database, clock, client, target, key, mode: Mutex::default() }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets how the shop is told from now on, also after a restart.
    pub(super) async fn set_mode(&self, mode: Mode) -> Result<Result<Mode, String>, LedgerError> {
        if let Some(fault) = mode.fault() {
            return Ok(Err(fault));
        }
        let text = serde_json::to_string(&mode).unwrap_or_default();
        self.database
            .write::<_, LedgerError, _>(move |connection| {
                connection.execute(
                    "INSERT INTO notices_mode(id, mode) VALUES (1, ?1) ON CONFLICT(id) DO UPDATE SET mode = ?1",
                    [text],
                )?;
                Ok(())
            })
            .await?;
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&mode);
        Ok(Ok(mode))
    }

    /// Notices that the shop has not heard yet.
    pub(super) async fn waiting(&self) -> Result<i64, LedgerError> {
        self.database
            .read(|connection| {
                Ok(connection
                    .query_row("SELECT count(*) FROM notices WHERE due_ms IS NOT NULL", [], |row| row.get(0))?)
            })
            .await
    }

    /// Tells for as long as this process lives.
    pub(super) async fn run(self: Arc<Self>) {
        match self.stored_mode().await {
            Ok(mode) => *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode,
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "The webhooks' mode is not read."),
        }
        loop {
            match self.round().await {
                Ok(told) if told > 0 => {}
                Ok(_) => tokio::time::sleep(LOOK_INTERVAL).await,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Webhooks could not be told.");
                    tokio::time::sleep(LOOK_INTERVAL * 5).await;
                }
            }
        }
    }

    async fn stored_mode(&self) -> Result<Mode, LedgerError> {
        self.database
            .read(|connection| {
                let mut statement = connection.prepare("SELECT mode FROM notices_mode")?;
                let stored: Option<String> = statement.query_map([], |row| row.get(0))?.next().transpose()?;
                Ok(stored.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default())
            })
            .await
    }

    /// Tells what is due; answers how many were heard.
    async fn round(&self) -> Result<usize, LedgerError> {
        let mode = self.mode();
        if mode.paused {
            return Ok(0);
        }
        let mut heard = 0;
        for due in self.due(&mode).await? {
            let mut was_heard = true;
            for _ in 0..mode.copies {
                was_heard &= self.tell(&due).await;
            }
            heard += usize::from(was_heard);
            let now = self.now_ms();
            let next = (!was_heard && due.tries + 1 < TRIES_MAX).then(|| now + rest_ms(due.tries));
            self.database
                .write::<_, LedgerError, _>(move |connection| {
                    connection
                        .prepare_cached("UPDATE notices SET tries = tries + 1, due_ms = ?2 WHERE id = ?1")?
                        .execute(params![due.id, next])?;
                    Ok(())
                })
                .await?;
        }
        Ok(heard)
    }

    async fn due(&self, mode: &Mode) -> Result<Vec<Due>, LedgerError> {
        let (latest, reversed) = (self.now_ms(), mode.reversed);
        let happened_before = latest - mode.delay_ms;
        self.database
            .read(move |connection| {
                let mut statement = connection.prepare_cached(if reversed {
                    "SELECT id, body, tries FROM notices WHERE due_ms <= ?1 AND made_ms <= ?2 ORDER BY id DESC LIMIT ?3"
                } else {
                    "SELECT id, body, tries FROM notices WHERE due_ms <= ?1 AND made_ms <= ?2 ORDER BY id LIMIT ?3"
                })?;
                let rows = statement.query_map(params![latest, happened_before, ROUND_MAX], |row| {
                    Ok(Due { id: row.get(0)?, body: row.get(1)?, tries: row.get(2)? })
                })?;
                Ok(rows.collect::<Result<_, _>>().map_err(DatabaseError::Statement)?)
            })
            .await
    }

    /// One telling; `true` if the shop answered 2xx.
    async fn tell(&self, due: &Due) -> bool {
        let at = self.clock.now().unix_timestamp();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.target)
            .header("content-type", "application/json")
            .header("sandbox-signature", signature(&self.key, at, &due.body))
            .body(Full::new(Bytes::from(due.body.clone())));
        let Ok(request) = request else { return false };
        match tokio::time::timeout(ANSWER_TIME, self.client.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => true,
            Ok(Ok(answer)) => {
                tracing::warn!(notice = due.id, status = answer.status().as_u16(), "The shop did not take a webhook.");
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn now_ms(&self) -> i64 {
        super::now_ms(self.clock.as_ref())
    }
}

/// `t=<unix seconds>,v1=<hex of HMAC-SHA256 over "t.body">`.
fn signature(key: &hmac::Key, at: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{at}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

fn rest_ms(tries: i64) -> i64 {
    let doublings = u32::try_from(tries.clamp(0, 20)).unwrap_or(20);
    REST_FIRST_MS.saturating_mul(1 << doublings).min(REST_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_ten_minutes() {
        assert_eq!([0, 1, 2, 9, 10, 440].map(rest_ms), [1_000, 2_000, 4_000, 512_000, 600_000, 600_000]);
        let days = (0..TRIES_MAX).map(rest_ms).sum::<i64>() / 86_400_000;
        assert!((2..=3).contains(&days), "{days}");
    }

    #[test]
    fn a_signature_is_an_hmac_over_moment_and_body() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        // Reckoned by: printf '1492774577.{}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1492774577,v1=2ddb0fdc1ad242a0eece9d964270ad86442b7381d25d1f99cd41a46999919e32";
        assert_eq!(signature(&key, 1_492_774_577, "{}"), expected);
    }

    #[test]
    fn modes_have_limits() {
        assert_eq!(serde_json::from_str::<Mode>("{}").unwrap(), Mode::default());
        assert!(serde_json::from_str::<Mode>(r#"{"colour":1}"#).is_err());
        for mode in [
            Mode { copies: 0, ..Mode::default() },
            Mode { copies: 6, ..Mode::default() },
            Mode { delay_ms: -1, ..Mode::default() },
        ] {
            assert!(mode.fault().is_some(), "{mode:?}");
        }
    }
}
