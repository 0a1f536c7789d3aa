//! What happens to messages by time alone: schedules, lapsed locks, expiry, forgotten ids; and what a restart undoes.
//!
//! What must stay true: each step is safe to repeat and needs no memory of an earlier one, so it does not matter how long the dev
//! host was down; and none reads messages that are not due (INDEXED BY makes a missing index an error), so a long backlog costs
//! the upkeep nothing.
use rusqlite::{Connection, OptionalExtension, params};

use super::entities::{Entities, Settings};
use super::message::{BrokerError, DeadLetter, Facts, Outgoing};
use super::queues::{self, MAX_DELIVERY_COUNT_EXCEEDED, next_sequence};

/// Most scheduled messages made visible in one transaction; the rest follows in the next one.
const DUE_MAX: i64 = 500;
/// Most dead letters on one page.
pub const DEAD_LETTERS_MAX: usize = 200;
/// Reason of a message that outlived its time to live where expiry dead-letters.
pub const TTL_EXPIRED: &str = "TTLExpiredException";

/// How full one place is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Visible now or under a lock.
    pub active: i64,
    pub dead_letters: i64,
    pub scheduled: i64,
}

/// No lock survives a restart: what was being handled is available again, counted as delivered.
pub(super) fn recover(connection: &Connection, entities: &Entities) -> Result<(), BrokerError> {
    connection.execute("DELETE FROM session_locks", [])?;
    for (entity, settings) in entities.receivers() {
        free(connection, &entity, settings, i64::MAX)?;
    }
    Ok(())
}

/// Ends locks that lapsed at or before `until_ms`; `true` when a message became available.
fn free(connection: &Connection, entity: &str, settings: &Settings, until_ms: i64) -> Result<bool, BrokerError> {
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET token = NULL, until = 0,
                 state = CASE WHEN deliveries >= ?3 THEN 3 ELSE 1 END,
                 reason = CASE WHEN deliveries >= ?3 THEN ?4 END
             WHERE entity = ?1 AND state = 2 AND until <= ?2",
        )?
        .execute(params![entity, until_ms, settings.delivery_count_max, MAX_DELIVERY_COUNT_EXCEEDED])?;
    Ok(changed > 0)
}

/// Does everything that is due and names the places whose receivers should look.
pub(super) fn tidy(connection: &Connection, entities: &Entities, now_ms: i64) -> Result<Vec<String>, BrokerError> {
    let mut awake = activate(connection, entities, now_ms)?;
    for (entity, settings) in entities.receivers() {
        if free(connection, &entity, settings, now_ms)? {
            awake.push(entity.clone());
        }
        expire(connection, &entity, settings, now_ms)?;
    }
    let lapsed = connection.execute("DELETE FROM session_locks WHERE until <= ?1", [now_ms])?;
    if lapsed > 0 {
        awake.extend(entities.receivers().filter(|(_, s)| s.requires_session).map(|(entity, _)| entity));
    }
    forget(connection, entities, now_ms)?;
    Ok(awake)
}

/// Scheduled messages whose time has come are published as if they were sent now.
fn activate(connection: &Connection, entities: &Entities, now_ms: i64) -> Result<Vec<String>, BrokerError> {
    type Row = (i64, String, String, Option<String>, Option<i64>, String, Vec<u8>);
    let due: Vec<Row> = connection
        .prepare_cached(
            "SELECT id, entity, message_id, session, life, facts, body FROM messages INDEXED BY messages_by_time
             WHERE state = 0 AND until <= ?1 ORDER BY until, sequence LIMIT ?2",
        )?
        .query_map([now_ms, DUE_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut awake = Vec::new();
    for (id, entity, message_id, session, time_to_live_ms, facts, body) in due {
        let facts: Facts = serde_json::from_str(&facts)?;
        connection.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([id])?;
        if entities.queue(&entity).is_none() && entities.topic(&entity).is_none() {
            tracing::warn!(entity, message_id, "A scheduled message is dropped: its entity is no longer declared.");
            continue;
        }
        let message = Outgoing { message_id: None, session, scheduled_ms: None, time_to_live_ms, facts, body };
        queues::publish(connection, entities, &entity, &message_id, &message, now_ms)?;
        awake.push(entity);
    }
    Ok(awake)
}

fn expire(connection: &Connection, entity: &str, settings: &Settings, now_ms: i64) -> Result<(), BrokerError> {
    if settings.dead_letter_on_expiration {
        connection
            .prepare_cached(
                "UPDATE messages INDEXED BY messages_by_expiry SET state = 3, reason = ?3 WHERE entity = ?1 AND state = 1 AND expires <= ?2",
            )?
            .execute(params![entity, now_ms, TTL_EXPIRED])?;
    } else {
        connection
            .prepare_cached(
                "DELETE FROM messages INDEXED BY messages_by_expiry WHERE entity = ?1 AND state = 1 AND expires <= ?2",
            )?
            .execute(params![entity, now_ms])?;
    }
    Ok(())
}

fn forget(connection: &Connection, entities: &Entities, now_ms: i64) -> Result<(), BrokerError> {
    let queues =
        entities.queues().filter_map(|name| Some((name, entities.queue(name).and_then(|q| q.duplicate_window_ms)?)));
    let topics = entities.topics().filter_map(|(name, topic)| Some((name, topic.duplicate_window_ms?)));
    for (name, window_ms) in queues.chain(topics) {
        connection
            .prepare_cached("DELETE FROM seen WHERE entity = ?1 AND at <= ?2")?
            .execute(params![name, now_ms - window_ms])?;
    }
    Ok(())
}

/// The next moment at which time alone changes something: a schedule, the end of a lock, an expiry.
pub(super) fn next_due(connection: &Connection) -> Result<Option<i64>, BrokerError> {
    let first = |statement: &str| -> Result<Option<i64>, rusqlite::Error> {
        connection.prepare_cached(statement)?.query_row([], |row| row.get(0)).optional().map(Option::flatten)
    };
    let moments = [
        first("SELECT until FROM messages INDEXED BY messages_by_time WHERE state = 0 ORDER BY until LIMIT 1")?,
        first("SELECT until FROM messages INDEXED BY messages_by_time WHERE state = 2 ORDER BY until LIMIT 1")?,
        first(
            "SELECT expires FROM messages INDEXED BY messages_by_expiry
             WHERE state = 1 AND expires IS NOT NULL ORDER BY expires LIMIT 1",
        )?,
        first("SELECT min(until) FROM session_locks")?,
    ];
    Ok(moments.into_iter().flatten().min())
}

/// How full a queue, subscription or (scheduled only) topic is.
pub(super) fn depth(connection: &Connection, entity: &str) -> Result<Depth, BrokerError> {
    let mut depth = Depth::default();
    let mut statement =
        connection.prepare_cached("SELECT state, count(*) FROM messages WHERE entity = ?1 GROUP BY state")?;
    let mut rows = statement.query([entity])?;
    while let Some(row) = rows.next()? {
        let (state, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        match state {
            queues::SCHEDULED => depth.scheduled += count,
            queues::ACTIVE | queues::LOCKED => depth.active += count,
            _ => depth.dead_letters += count,
        }
    }
    Ok(depth)
}

/// One page of dead letters in order of their sequence numbers, after `after`.
pub(super) fn dead_letters(
    connection: &Connection,
    entity: &str,
    after: i64,
    most: usize,
) -> Result<Vec<DeadLetter>, BrokerError> {
    let most = i64::try_from(most.min(DEAD_LETTERS_MAX)).unwrap_or(0);
    let mut statement = connection.prepare_cached(
        "SELECT sequence, reason, deliveries, message_id, session, enqueued, facts, body FROM messages
         WHERE entity = ?1 AND state = 3 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let mut rows = statement.query(params![entity, after, most])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let facts: String = row.get(6)?;
        letters.push(DeadLetter {
            sequence: row.get(0)?,
            reason: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            delivery_count: row.get(2)?,
            message_id: row.get(3)?,
            session: row.get(4)?,
            enqueued_ms: row.get(5)?,
            facts: serde_json::from_str(&facts)?,
            body: row.get(7)?,
        });
    }
    Ok(letters)
}

/// Puts a dead letter back at the end of its queue, as new; `false` when there is none of that number.
pub(super) fn replay(
    connection: &Connection,
    entity: &str,
    settings: &Settings,
    sequence: i64,
    now_ms: i64,
) -> Result<bool, BrokerError> {
    let fresh = next_sequence(connection, entity)?;
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET state = 1, sequence = ?3, deliveries = 0, reason = NULL, token = NULL, until = 0,
                 enqueued = ?4, expires = CASE WHEN coalesce(life, ?5) IS NOT NULL THEN ?4 + min(coalesce(life, ?5), coalesce(?5, life)) END
             WHERE entity = ?1 AND sequence = ?2 AND state = 3",
        )?
        .execute(params![entity, sequence, fresh, now_ms, settings.time_to_live_ms])?;
    Ok(changed == 1)
}
