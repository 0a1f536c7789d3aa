//! Event hubs: append-only partitions, read by position.
//!
//! What must stay true: the events of one partition key stay in one partition and in order; sequence numbers and offsets only
//! grow, also past a restart and past what retention removed; a checkpoint never moves back.
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::entities::{Entities, Hub};
use super::message::BrokerError;

/// Most events kept in one partition, however long the retention is: a development machine has a finite disk.
pub const PARTITION_MAX_EVENTS: i64 = 200_000;
/// Largest send, single event or batch. Source: Event Hubs quotas, "Event Hubs publication size: 1 MB" (standard tier).
pub const SEND_MAX_BYTES: usize = 1024 * 1024;
/// Longest partition key. Source: Event Hubs quotas, "partition key: 128 characters".
const KEY_MAX_CHARS: usize = 128;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events(
    hub TEXT NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL, offset INTEGER NOT NULL,
    enqueued INTEGER NOT NULL, key TEXT, properties TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY(hub, partition, sequence)
);
CREATE TABLE IF NOT EXISTS partitions(
    hub TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY(hub, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints(
    hub TEXT NOT NULL, consumer_group TEXT NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY(hub, consumer_group, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns(hub TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
";

/// An event on its way in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewEvent {
    pub key: Option<String>,
    pub properties: Map<String, Value>,
    pub body: Vec<u8>,
}

/// An event as a reader gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub sequence: i64,
    pub offset: i64,
    pub enqueued_ms: i64,
    pub key: Option<String>,
    pub properties: Map<String, Value>,
    pub body: Vec<u8>,
}

/// How full one partition is and how far one consumer group has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    pub partition: u32,
    /// Events kept and not yet passed by the group's checkpoint.
    pub waiting: i64,
}

/// Appends events. Those without a key go together to the partition whose turn it is.
pub(super) fn send(
    connection: &Connection,
    entities: &Entities,
    hub: &str,
    events: &[NewEvent],
    now_ms: i64,
) -> Result<(), BrokerError> {
    let settings = entities.hub(hub).ok_or_else(|| BrokerError::UnknownEntity(hub.to_owned()))?;
    let mut size = 0;
    for event in events {
        if event.key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > KEY_MAX_CHARS) {
            return Err(BrokerError::Invalid(format!("PartitionKey holds 1 to {KEY_MAX_CHARS} characters")));
        }
        size += event.body.len();
    }
    if size > SEND_MAX_BYTES {
        return Err(BrokerError::TooLarge(SEND_MAX_BYTES));
    }
    let turn = if events.iter().any(|event| event.key.is_none()) { turn(connection, hub, settings)? } else { 0 };
    for event in events {
        let partition = event.key.as_deref().map_or(turn, |key| partition_of(key, settings.partitions));
        append(connection, hub, partition, event, settings, now_ms)?;
    }
    Ok(())
}

fn append(
    connection: &Connection,
    hub: &str,
    partition: u32,
    event: &NewEvent,
    settings: &Hub,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let size = i64::try_from(event.body.len()).unwrap_or(i64::MAX).max(1);
    let (next, offset): (i64, i64) = connection
        .prepare_cached(
            "INSERT INTO partitions(hub, partition, next, offset) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT(hub, partition) DO UPDATE SET next = next + 1, offset = offset + ?3 RETURNING next, offset",
        )?
        .query_row(params![hub, partition, size], |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection
        .prepare_cached(
            "INSERT INTO events(hub, partition, sequence, offset, enqueued, key, properties, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            hub,
            partition,
            next - 1,
            offset - size,
            now_ms,
            event.key,
            serde_json::to_string(&event.properties)?,
            event.body
        ])?;
    if next % 1_000 == 0 {
        prune_partition(connection, hub, partition, settings, next, now_ms)?;
    }
    Ok(())
}

fn prune_partition(
    connection: &Connection,
    hub: &str,
    partition: u32,
    settings: &Hub,
    next: i64,
    now_ms: i64,
) -> Result<(), BrokerError> {
    let first_kept: Option<i64> = connection
        .prepare_cached("SELECT min(sequence) FROM events WHERE hub = ?1 AND partition = ?2 AND enqueued > ?3")?
        .query_row(params![hub, partition, now_ms - settings.retention_ms], |row| row.get(0))?;
    let keep_from = first_kept.unwrap_or(next).max(next - PARTITION_MAX_EVENTS);
    connection
        .prepare_cached("DELETE FROM events WHERE hub = ?1 AND partition = ?2 AND sequence < ?3")?
        .execute(params![hub, partition, keep_from])?;
    Ok(())
}

/// Removes what retention no longer covers, in every hub.
pub(super) fn prune(connection: &Connection, entities: &Entities, now_ms: i64) -> Result<(), BrokerError> {
    for (hub, settings) in entities.hubs() {
        for partition in 0..settings.partitions {
            let next: Option<i64> = connection
                .prepare_cached("SELECT next FROM partitions WHERE hub = ?1 AND partition = ?2")?
                .query_row(params![hub, partition], |row| row.get(0))
                .optional()?;
            if let Some(next) = next {
                prune_partition(connection, hub, partition, settings, next, now_ms)?;
            }
        }
    }
    Ok(())
}

fn turn(connection: &Connection, hub: &str, settings: &Hub) -> Result<u32, BrokerError> {
    let next: i64 = connection
        .prepare_cached(
            "INSERT INTO turns(hub, next) VALUES (?1, 0) ON CONFLICT(hub) DO UPDATE SET next = (next + 1) % ?2 RETURNING next",
        )?
        .query_row(params![hub, settings.partitions], |row| row.get(0))?;
    Ok(u32::try_from(next).unwrap_or(0) % settings.partitions)
}

/// FNV-1a: small, the same on every machine and in every version, which is all that keeps a key in its partition.
fn partition_of(key: &str, partitions: u32) -> u32 {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % partitions
}

/// The next events of a partition after the group's checkpoint.
pub(super) fn fetch(
    connection: &Connection,
    hub: &str,
    group: &str,
    partition: u32,
    most: usize,
) -> Result<Vec<Event>, BrokerError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT sequence, offset, enqueued, key, properties, body FROM events
         WHERE hub = ?1 AND partition = ?2 AND sequence > coalesce(
             (SELECT sequence FROM checkpoints WHERE hub = ?1 AND consumer_group = ?3 AND partition = ?2), -1)
         ORDER BY sequence LIMIT ?4",
    )?;
    let mut rows = statement.query(params![hub, partition, group, most])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let properties: String = row.get(4)?;
        events.push(Event {
            sequence: row.get(0)?,
            offset: row.get(1)?,
            enqueued_ms: row.get(2)?,
            key: row.get(3)?,
            properties: serde_json::from_str(&properties)?,
            body: row.get(5)?,
        });
    }
    Ok(events)
}

/// The group has passed this event; a repeat or an older number changes nothing.
pub(super) fn checkpoint(
    connection: &Connection,
    hub: &str,
    group: &str,
    partition: u32,
    sequence: i64,
) -> Result<(), BrokerError> {
    connection
        .prepare_cached(
            "INSERT INTO checkpoints(hub, consumer_group, partition, sequence) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(hub, consumer_group, partition) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
        )?
        .execute(params![hub, group, partition, sequence])?;
    Ok(())
}

/// What one consumer group has not passed yet, by partition.
pub(super) fn lag(connection: &Connection, hub: &str, settings: &Hub, group: &str) -> Result<Vec<Lag>, BrokerError> {
    (0..settings.partitions)
        .map(|partition| {
            let waiting = connection
                .prepare_cached(
                    "SELECT count(*) FROM events WHERE hub = ?1 AND partition = ?2 AND sequence > coalesce(
                         (SELECT sequence FROM checkpoints WHERE hub = ?1 AND consumer_group = ?3 AND partition = ?2), -1)",
                )?
                .query_row(params![hub, partition, group], |row| row.get(0))?;
            Ok(Lag { partition, waiting })
        })
        .collect()
}
