//! The life of a message in a queue or subscription, as statements inside one transaction of the writer.
//!
//! What must stay true: a delivery is counted when the lock is granted, so a kill in the middle of an invocation counts as one;
//! a message is in exactly one state; a message id that was accepted is remembered for the whole window, also when its message
//! is scheduled or long completed; a topic's message reaches all its subscriptions in one transaction or none.
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::entities::{Entities, Settings, subscription};
use super::message::{BrokerError, Delivery, Outgoing};

/// Tables of the queues. `state`: 0 scheduled, 1 active, 2 locked, 3 dead. `until`: when a scheduled message becomes active or a
/// lock ends. A topic's scheduled messages lie under the topic's own name until they are due.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state INTEGER NOT NULL,
    until INTEGER NOT NULL DEFAULT 0,
    session TEXT,
    token TEXT,
    deliveries INTEGER NOT NULL DEFAULT 0,
    message_id TEXT NOT NULL,
    enqueued INTEGER NOT NULL,
    life INTEGER,
    expires INTEGER,
    reason TEXT,
    facts TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE(entity, sequence)
);
CREATE INDEX IF NOT EXISTS messages_in_order ON messages(entity, state, sequence);
CREATE INDEX IF NOT EXISTS messages_by_time ON messages(state, until);
CREATE INDEX IF NOT EXISTS messages_by_expiry ON messages(state, expires) WHERE expires IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_of_session ON messages(entity, session, state, sequence) WHERE session IS NOT NULL;
CREATE TABLE IF NOT EXISTS sequences(entity TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen(
    entity TEXT NOT NULL, message_id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(entity, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_in_order ON seen(entity, at);
CREATE TABLE IF NOT EXISTS session_locks(
    entity TEXT NOT NULL, session TEXT NOT NULL, token TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY(entity, session)
) WITHOUT ROWID;
";

pub(super) const SCHEDULED: i64 = 0;
pub(super) const ACTIVE: i64 = 1;
pub(super) const LOCKED: i64 = 2;
pub(super) const DEAD: i64 = 3;

/// Reason of a message that was delivered as often as its entity allows and never completed.
pub const MAX_DELIVERY_COUNT_EXCEEDED: &str = "MaxDeliveryCountExceeded";
/// Reason of a message without a session in a subscription that requires one.
pub const SESSION_ID_IS_NULL: &str = "Session ID is null";

/// A session held by one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLock {
    pub session: String,
    pub token: String,
}

/// Accepts a message. `false` means that its id was seen within the window: it is accepted and dropped.
pub(super) fn send(
    connection: &Connection,
    entities: &Entities,
    destination: &str,
    message: &Outgoing,
    now_ms: i64,
) -> Result<bool, BrokerError> {
    message.check()?;
    let (window_ms, requires_session) = match (entities.queue(destination), entities.topic(destination)) {
        (Some(queue), _) => (queue.duplicate_window_ms, queue.requires_session),
        (None, Some(topic)) => (topic.duplicate_window_ms, false),
        (None, None) => return Err(BrokerError::UnknownEntity(destination.to_owned())),
    };
    if requires_session && message.session.is_none() {
        return Err(BrokerError::SessionRequired(destination.to_owned()));
    }
    let message_id = message.message_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    if let Some(window_ms) = window_ms
        && !remember(connection, destination, &message_id, window_ms, now_ms)?
    {
        return Ok(false);
    }
    match message.scheduled_ms {
        Some(due_ms) if due_ms > now_ms => {
            let sequence = next_sequence(connection, destination)?;
            let row =
                New { entity: destination, sequence, state: SCHEDULED, until: due_ms, expires: None, reason: None };
            insert(connection, &row, &message_id, message, now_ms)?;
        }
        _ => publish(connection, entities, destination, &message_id, message, now_ms)?,
    }
    Ok(true)
}

/// `false` when the id was accepted before within the window.
fn remember(
    connection: &Connection,
    entity: &str,
    message_id: &str,
    window_ms: i64,
    now_ms: i64,
) -> Result<bool, rusqlite::Error> {
    let changed = connection
        .prepare_cached(
            "INSERT INTO seen(entity, message_id, at) VALUES (?1, ?2, ?3)
             ON CONFLICT(entity, message_id) DO UPDATE SET at = excluded.at WHERE at <= ?3 - ?4",
        )?
        .execute(params![entity, message_id, now_ms, window_ms])?;
    Ok(changed == 1)
}

/// Makes a message visible: in its queue, or in every subscription of its topic.
pub(super) fn publish(
    connection: &Connection,
    entities: &Entities,
    destination: &str,
    message_id: &str,
    message: &Outgoing,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let sequence = next_sequence(connection, destination)?;
    if let Some(queue) = entities.queue(destination) {
        let expires = message.expires_ms(now_ms, queue.time_to_live_ms);
        let row = New { entity: destination, sequence, state: ACTIVE, until: 0, expires, reason: None };
        return insert(connection, &row, message_id, message, now_ms);
    }
    let topic = entities.topic(destination).ok_or_else(|| BrokerError::UnknownEntity(destination.to_owned()))?;
    for (name, settings) in &topic.subscriptions {
        let most = match (topic.time_to_live_ms, settings.time_to_live_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        let entity = subscription(destination, name);
        let homeless = settings.requires_session && message.session.is_none();
        let row = New {
            entity: &entity,
            sequence,
            state: if homeless { DEAD } else { ACTIVE },
            until: 0,
            expires: message.expires_ms(now_ms, most),
            reason: homeless.then_some(SESSION_ID_IS_NULL),
        };
        insert(connection, &row, message_id, message, now_ms)?;
    }
    Ok(())
}

/// The columns that differ between the ways in.
struct New<'a> {
    entity: &'a str,
    sequence: i64,
    state: i64,
    until: i64,
    expires: Option<i64>,
    reason: Option<&'a str>,
}

fn insert(
    connection: &Connection,
    row: &New<'_>,
    message_id: &str,
    message: &Outgoing,
    now_ms: i64,
) -> Result<(), BrokerError> {
    connection
        .prepare_cached(
            "INSERT INTO messages(entity, sequence, state, until, session, message_id, enqueued, life, expires, reason, facts, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            row.entity,
            row.sequence,
            row.state,
            row.until,
            message.session,
            message_id,
            now_ms,
            message.time_to_live_ms,
            row.expires,
            row.reason,
            serde_json::to_string(&message.facts)?,
            message.body,
        ])?;
    Ok(())
}

/// Sequence numbers are drawn from the queue or topic and never used twice, also not after a restart.
pub(super) fn next_sequence(connection: &Connection, entity: &str) -> Result<i64, rusqlite::Error> {
    let source = entity.split_once('/').map_or(entity, |(topic, _)| topic);
    connection
        .prepare_cached(
            "INSERT INTO sequences(entity, last) VALUES (?1, 1) ON CONFLICT(entity) DO UPDATE SET last = last + 1 RETURNING last",
        )?
        .query_row([source], |row| row.get(0))
}

/// Locks up to `most` messages of an entity without sessions, in order.
pub(super) fn acquire(
    connection: &Connection,
    entity: &str,
    settings: &Settings,
    now_ms: i64,
    most: usize,
) -> Result<Vec<Delivery>, BrokerError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let ids: Vec<i64> = connection
        .prepare_cached(
            "SELECT id FROM messages WHERE entity = ?1 AND state = 1 AND (expires IS NULL OR expires > ?2)
             ORDER BY sequence LIMIT ?3",
        )?
        .query_map(params![entity, now_ms, most], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| lock(connection, id, now_ms + settings.lock_ms)).collect()
}

/// Takes the session whose oldest message waits longest and that nobody holds.
pub(super) fn acquire_session(
    connection: &Connection,
    entity: &str,
    settings: &Settings,
    now_ms: i64,
) -> Result<Option<SessionLock>, BrokerError> {
    let session: Option<String> = connection
        .prepare_cached(
            "SELECT session FROM messages AS m
             WHERE entity = ?1 AND state = 1 AND session IS NOT NULL AND (expires IS NULL OR expires > ?2)
               AND NOT EXISTS (SELECT 1 FROM session_locks AS s
                               WHERE s.entity = m.entity AND s.session = m.session AND s.until > ?2)
             ORDER BY sequence LIMIT 1",
        )?
        .query_row(params![entity, now_ms], |row| row.get(0))
        .optional()?;
    let Some(session) = session else { return Ok(None) };
    // Messages under the lock of a receiver that lost the session would otherwise be overtaken by younger ones.
    connection
        .prepare_cached(
            "UPDATE messages SET state = 1, token = NULL, until = 0 WHERE entity = ?1 AND session = ?2 AND state = 2",
        )?
        .execute([entity, session.as_str()])?;
    let token = uuid::Uuid::new_v4().to_string();
    connection
        .prepare_cached("INSERT OR REPLACE INTO session_locks(entity, session, token, until) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![entity, session, token, now_ms + settings.lock_ms])?;
    Ok(Some(SessionLock { session, token }))
}

/// Locks up to `most` messages of a held session, in order.
pub(super) fn acquire_in_session(
    connection: &Connection,
    entity: &str,
    held: &SessionLock,
    settings: &Settings,
    now_ms: i64,
    most: usize,
) -> Result<Vec<Delivery>, BrokerError> {
    renew_session(connection, entity, held, settings, now_ms)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let ids: Vec<i64> = connection
        .prepare_cached(
            "SELECT id FROM messages WHERE entity = ?1 AND session = ?2 AND state = 1 AND (expires IS NULL OR expires > ?3)
             ORDER BY sequence LIMIT ?4",
        )?
        .query_map(params![entity, held.session, now_ms, most], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ids.into_iter().map(|id| lock(connection, id, now_ms + settings.lock_ms)).collect()
}

/// Extends a session's lock and those of its messages.
pub(super) fn renew_session(
    connection: &Connection,
    entity: &str,
    held: &SessionLock,
    settings: &Settings,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let until = now_ms + settings.lock_ms;
    let changed = connection
        .prepare_cached(
            "UPDATE session_locks SET until = ?4 WHERE entity = ?1 AND session = ?2 AND token = ?3 AND until > ?5",
        )?
        .execute(params![entity, held.session, held.token, until, now_ms])?;
    if changed == 0 {
        return Err(BrokerError::LockLost);
    }
    connection
        .prepare_cached("UPDATE messages SET until = ?3 WHERE entity = ?1 AND session = ?2 AND state = 2")?
        .execute(params![entity, held.session, until])?;
    Ok(())
}

/// Gives a session back; its messages go on with whoever takes it next.
pub(super) fn release_session(connection: &Connection, entity: &str, held: &SessionLock) -> Result<(), BrokerError> {
    connection
        .prepare_cached("DELETE FROM session_locks WHERE entity = ?1 AND session = ?2 AND token = ?3")?
        .execute([entity, &held.session, &held.token])?;
    Ok(())
}

fn lock(connection: &Connection, id: i64, until: i64) -> Result<Delivery, BrokerError> {
    let token = uuid::Uuid::new_v4().to_string();
    let (mut delivery, facts) = connection
        .prepare_cached(
            "UPDATE messages SET state = 2, token = ?2, until = ?3, deliveries = deliveries + 1 WHERE id = ?1
             RETURNING entity, sequence, deliveries, message_id, session, enqueued, expires, facts, body",
        )?
        .query_row(params![id, token, until], delivery)?;
    delivery.token = token;
    delivery.facts = serde_json::from_str(&facts)?;
    Ok(delivery)
}

fn delivery(row: &Row<'_>) -> Result<(Delivery, String), rusqlite::Error> {
    let delivery = Delivery {
        entity: row.get(0)?,
        sequence: row.get(1)?,
        token: String::new(),
        delivery_count: row.get(2)?,
        message_id: row.get(3)?,
        session: row.get(4)?,
        enqueued_ms: row.get(5)?,
        expires_ms: row.get(6)?,
        facts: super::message::Facts::default(),
        body: row.get(8)?,
    };
    Ok((delivery, row.get(7)?))
}

/// Extends the lock of one message.
pub(super) fn renew(
    connection: &Connection,
    entity: &str,
    sequence: i64,
    token: &str,
    settings: &Settings,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET until = ?4 WHERE entity = ?1 AND sequence = ?2 AND token = ?3 AND state = 2 AND until > ?5",
        )?
        .execute(params![entity, sequence, token, now_ms + settings.lock_ms, now_ms])?;
    held(changed)
}

/// The message is done with.
pub(super) fn complete(
    connection: &Connection,
    entity: &str,
    sequence: i64,
    token: &str,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let changed = connection
        .prepare_cached(
            "DELETE FROM messages WHERE entity = ?1 AND sequence = ?2 AND token = ?3 AND state = 2 AND until > ?4",
        )?
        .execute(params![entity, sequence, token, now_ms])?;
    held(changed)
}

/// The delivery failed: available at once, or a dead letter after the last one allowed.
pub(super) fn abandon(
    connection: &Connection,
    entity: &str,
    sequence: i64,
    token: &str,
    settings: &Settings,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET token = NULL, until = 0,
                 state = CASE WHEN deliveries >= ?5 THEN 3 ELSE 1 END,
                 reason = CASE WHEN deliveries >= ?5 THEN ?6 END
             WHERE entity = ?1 AND sequence = ?2 AND token = ?3 AND state = 2 AND until > ?4",
        )?
        .execute(params![entity, sequence, token, now_ms, settings.delivery_count_max, MAX_DELIVERY_COUNT_EXCEEDED])?;
    held(changed)
}

/// The message was locked but never handed over: it was a wait, not a delivery.
pub(super) fn give_back(connection: &Connection, entity: &str, sequence: i64, token: &str) -> Result<(), BrokerError> {
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET token = NULL, until = 0, state = 1, deliveries = deliveries - 1
             WHERE entity = ?1 AND sequence = ?2 AND token = ?3 AND state = 2",
        )?
        .execute(params![entity, sequence, token])?;
    held(changed)
}

fn held(changed: usize) -> Result<(), BrokerError> {
    if changed == 0 { Err(BrokerError::LockLost) } else { Ok(()) }
}
