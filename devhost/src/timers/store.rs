//! Keeps the status of timers in the dev host's database, so that a run missed while the host was away is made up for.
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, params};
use time::OffsetDateTime;

use super::plan::TimerStatus;

/// How long another writer of the same file is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS timer_status (
    function TEXT PRIMARY KEY,
    last_nanos TEXT,
    next_nanos TEXT NOT NULL,
    updated_nanos TEXT NOT NULL
) STRICT";

/// Why a status could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TimerStoreError {
    #[error("the timers' database failed")]
    Database(#[from] rusqlite::Error),
    #[error("the stored status of timer `{0}` cannot be understood")]
    Content(String),
    #[error("the timers' database task was cut off")]
    Cut,
}

/// The table of statuses.
#[derive(Debug, Clone)]
pub(super) struct TimerStore(Arc<Mutex<Connection>>);

impl TimerStore {
    pub(super) fn open(file: &Path) -> Result<Self, TimerStoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute(SCHEMA, [])?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    pub(super) async fn load(&self, function: &str) -> Result<Option<TimerStatus>, TimerStoreError> {
        let name = function.to_owned();
        let row = self
            .with(move |connection| {
                let query = "SELECT last_nanos, next_nanos, updated_nanos FROM timer_status WHERE function = ?1";
                let columns = |row: &rusqlite::Row<'_>| {
                    Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
                };
                connection.query_row(query, params![name], columns).optional()
            })
            .await?;
        let Some((last, next, updated)) = row else { return Ok(None) };
        let unreadable = || TimerStoreError::Content(function.to_owned());
        Ok(Some(TimerStatus {
            last: last.map(|it| moment(&it).ok_or_else(unreadable)).transpose()?,
            next: moment(&next).ok_or_else(unreadable)?,
            last_updated: moment(&updated).ok_or_else(unreadable)?,
        }))
    }

    pub(super) async fn save(&self, function: &str, status: TimerStatus) -> Result<(), TimerStoreError> {
        let name = function.to_owned();
        self.with(move |connection| {
            let statement =
                "INSERT INTO timer_status (function, last_nanos, next_nanos, updated_nanos) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (function) DO UPDATE SET last_nanos = ?2, next_nanos = ?3, updated_nanos = ?4";
            let last = status.last.map(nanos);
            connection.execute(statement, params![name, last, nanos(status.next), nanos(status.last_updated)])
        })
        .await
        .map(|_| ())
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, TimerStoreError> {
        let connection = Arc::clone(&self.0);
        let task = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(task).await.map_err(|_| TimerStoreError::Cut)??)
    }
}

/// Nanoseconds since 1970 as text: they do not fit SQLite's integers.
fn nanos(moment: OffsetDateTime) -> String {
    moment.unix_timestamp_nanos().to_string()
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[tokio::test]
    async fn what_was_saved_is_loaded_by_the_next_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("host.db");
        let status = TimerStatus {
            last: None,
            next: datetime!(2024-05-01 10:00:00 UTC),
            last_updated: datetime!(2024-05-01 09:58:00.1234567 UTC),
        };
        let store = TimerStore::open(&file).unwrap();
        assert_eq!(store.load("tick").await.unwrap(), None);
        store.save("tick", status).await.unwrap();
        let later = TimerStatus { last: Some(status.next), ..status };
        store.save("tick", later).await.unwrap();
        drop(store);
        assert_eq!(TimerStore::open(&file).unwrap().load("tick").await.unwrap(), Some(later));
    }
}
