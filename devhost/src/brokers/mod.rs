//! Service Bus and Event Hubs on one machine: queues, topics and hubs in one SQLite file, pushed to the functions that listen.
//!
//! What must stay true: a send is answered after its commit is synced, a listener is woken by the send itself and not by polling,
//! and everything that time alone changes is found again in the file after a restart.
pub mod entities;
mod hub_pump;
pub mod hubs;
pub mod limits;
mod listening;
pub mod message;
mod payload;
mod queue_pump;
mod queues;
mod session_pump;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::database::Database;
use entities::{Entities, Settings};
use message::{BrokerError, DeadLetter, Delivery, Outgoing};

pub use listening::{Listeners, listen};
pub use payload::made_up;
pub use queues::{MAX_DELIVERY_COUNT_EXCEEDED, SESSION_ID_IS_NULL, SessionLock};
pub use upkeep::{DEAD_LETTERS_MAX, Depth, TTL_EXPIRED};

/// Longest sleep of the upkeep, in milliseconds: bounds what a clock that jumps can delay.
const UPKEEP_SLEEP_MAX_MS: i64 = 30_000;
/// Pause after the file failed, so that a full disk does not become a busy loop.
const UPKEEP_PAUSE: Duration = Duration::from_secs(1);
/// How often hubs forget what their retention no longer covers, in milliseconds.
const PRUNE_EVERY_MS: i64 = 10 * 60_000;

/// The brokers. Shared by the REST endpoints, the pages and the listeners.
pub struct Brokers {
    database: Database,
    entities: Arc<Entities>,
    clock: Arc<dyn Clock>,
    /// One counter per queue, subscription and hub; it moves when there may be something to receive.
    wakes: HashMap<String, watch::Sender<u64>>,
    /// When the upkeep looks again; it is told when something is due before that.
    planned_ms: AtomicI64,
    earlier: Notify,
}

impl std::fmt::Debug for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brokers").field("entities", &self.entities).finish_non_exhaustive()
    }
}

/// How full a queue, subscription, topic or hub is, as `/dev/queues` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    pub name: String,
    /// `queue`, `topic`, `subscription` or `hub`.
    pub kind: &'static str,
    pub depth: Depth,
}

impl Brokers {
    /// Opens the file, creates what is missing and ends the locks of an earlier run.
    ///
    /// # Errors
    /// If the file cannot be opened or recovered.
    pub async fn open(file: &Path, entities: Entities, clock: Arc<dyn Clock>) -> Result<Arc<Self>, BrokerError> {
        let database = Database::open(file, &[queues::SCHEMA, hubs::SCHEMA].concat())?;
        let entities = Arc::new(entities);
        let known = Arc::clone(&entities);
        database.write(move |connection| upkeep::recover(connection, &known)).await?;
        let receivers = entities.receivers().map(|(name, _)| name);
        let names = receivers.chain(entities.hubs().map(|(name, _)| name.clone()));
        let wakes = names.map(|name| (name, watch::Sender::new(0))).collect();
        Ok(Arc::new(Self {
            database,
            entities,
            clock,
            wakes,
            planned_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }))
    }

    /// What can be sent to and received from.
    #[must_use]
    pub fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The clock of schedules, locks and windows.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    fn now_ms(&self) -> i64 {
        milliseconds(self.clock.now())
    }

    /// Accepts a message for a queue or topic; durable when this returns. `false`: its id was seen within the window.
    ///
    /// # Errors
    /// [`BrokerError`] tells a refusal from a fault of the file.
    pub async fn send(&self, destination: &str, message: Outgoing) -> Result<bool, BrokerError> {
        self.send_all(destination, vec![message]).await.map(|accepted| accepted == 1)
    }

    /// Accepts several messages, all or none, and says how many were new; durable when this returns.
    ///
    /// # Errors
    /// As [`Brokers::send`].
    pub async fn send_all(&self, destination: &str, messages: Vec<Outgoing>) -> Result<usize, BrokerError> {
        let (entities, name, now_ms) = (Arc::clone(&self.entities), destination.to_owned(), self.now_ms());
        let moments = messages.iter().flat_map(|one| [one.scheduled_ms, one.expires_ms(now_ms, None)]);
        let due_ms = moments.flatten().min();
        let accepted = self
            .database
            .write(move |connection| {
                let mut accepted = 0;
                for message in &messages {
                    accepted += usize::from(queues::send(connection, &entities, &name, message, now_ms)?);
                }
                Ok::<_, BrokerError>(accepted)
            })
            .await?;
        self.wake(destination);
        if let Some(due_ms) = due_ms {
            self.plan(due_ms);
        }
        Ok(accepted)
    }

    /// Appends events to a hub, all or none; durable when this returns.
    ///
    /// # Errors
    /// [`BrokerError`] tells a refusal from a fault of the file.
    pub async fn send_events(&self, hub: &str, events: Vec<hubs::NewEvent>) -> Result<(), BrokerError> {
        let (entities, name, now_ms) = (Arc::clone(&self.entities), hub.to_owned(), self.now_ms());
        self.database.write(move |connection| hubs::send(connection, &entities, &name, &events, now_ms)).await?;
        self.wake(hub);
        Ok(())
    }

    /// Moves the counter of a queue or hub, or of all subscriptions of a topic.
    fn wake(&self, name: &str) {
        if let Some(topic) = self.entities.topic(name) {
            for part in topic.subscriptions.keys() {
                self.wake(&entities::subscription(name, part));
            }
        } else if let Some(counter) = self.wakes.get(name) {
            counter.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Sees every wake that comes after this call.
    fn watch(&self, name: &str) -> Option<watch::Receiver<u64>> {
        self.wakes.get(name).map(watch::Sender::subscribe)
    }

    /// Makes sure that the upkeep looks at `due_ms`.
    fn plan(&self, due_ms: i64) {
        if due_ms < self.planned_ms.load(Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }

    fn settings(&self, entity: &str) -> Result<Settings, BrokerError> {
        let found = match entity.split_once('/') {
            Some((topic, name)) => self.entities.topic(topic).and_then(|t| t.subscriptions.get(name)),
            None => self.entities.queue(entity),
        };
        found.cloned().ok_or_else(|| BrokerError::UnknownEntity(entity.to_owned()))
    }

    /// How full everything is: queues, topics (scheduled only), subscriptions, hubs (not passed by the slowest group).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn fill(&self) -> Result<Vec<Fill>, BrokerError> {
        let entities = Arc::clone(&self.entities);
        self.database.read(move |connection| listing(connection, &entities)).await
    }

    /// The dead letters of a queue or `topic/subscription`, oldest first, after sequence number `after`.
    ///
    /// # Errors
    /// If the place is unknown or the file cannot be read.
    pub async fn dead_letters(&self, entity: &str, after: i64, most: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        self.settings(entity)?;
        let name = entity.to_owned();
        self.database.read(move |connection| upkeep::dead_letters(connection, &name, after, most)).await
    }

    /// Puts a dead letter back as a new message; `false` when there is none of that number.
    ///
    /// # Errors
    /// If the place is unknown or the file fails.
    pub async fn replay(&self, entity: &str, sequence: i64) -> Result<bool, BrokerError> {
        let (settings, name, now_ms) = (self.settings(entity)?, entity.to_owned(), self.now_ms());
        let done = self
            .database
            .write(move |connection| upkeep::replay(connection, &name, &settings, sequence, now_ms))
            .await?;
        self.wake(entity);
        Ok(done)
    }

    async fn acquire(&self, entity: &str, settings: &Settings, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        let (name, rules, now_ms) = (entity.to_owned(), settings.clone(), self.now_ms());
        let taken =
            self.database.write(move |connection| queues::acquire(connection, &name, &rules, now_ms, most)).await;
        // Only now: an upkeep that looked before the commit would not have seen the locks.
        self.plan(now_ms + settings.lock_ms);
        taken
    }

    async fn settle<F>(&self, statements: F) -> Result<(), BrokerError>
    where
        F: FnOnce(&rusqlite::Connection) -> Result<(), BrokerError> + Send + 'static,
    {
        self.database.write(statements).await
    }

    /// Does what time alone brings about, until it is dropped.
    async fn keep_up(self: Arc<Self>) {
        let mut prune_ms = 0;
        loop {
            let now_ms = self.now_ms();
            let (entities, prune) = (Arc::clone(&self.entities), now_ms >= prune_ms);
            let tidied = self
                .database
                .write(move |connection| {
                    if prune {
                        hubs::prune(connection, &entities, now_ms)?;
                    }
                    let awake = upkeep::tidy(connection, &entities, now_ms)?;
                    Ok::<_, BrokerError>((awake, upkeep::next_due(connection)?))
                })
                .await;
            match tidied {
                Ok((awake, due)) => {
                    if prune {
                        prune_ms = now_ms + PRUNE_EVERY_MS;
                    }
                    awake.iter().for_each(|name| self.wake(name));
                    self.sleep_until(now_ms, due).await;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "The brokers' upkeep failed.");
                    tokio::time::sleep(UPKEEP_PAUSE).await;
                }
            }
        }
    }

    async fn sleep_until(&self, now_ms: i64, due: Option<i64>) {
        let latest = now_ms + UPKEEP_SLEEP_MAX_MS;
        let wake_ms = due.map_or(latest, |due| due.min(latest));
        self.planned_ms.store(wake_ms, Ordering::SeqCst);
        let pause = u64::try_from(wake_ms - self.now_ms()).unwrap_or(0);
        // Woken early or not, the loop looks at the file again.
        drop(tokio::time::timeout(Duration::from_millis(pause), self.earlier.notified()).await);
        self.planned_ms.store(i64::MAX, Ordering::SeqCst);
    }
}

fn listing(connection: &rusqlite::Connection, entities: &Entities) -> Result<Vec<Fill>, BrokerError> {
    let mut fills = Vec::new();
    for name in entities.queues() {
        fills.push(Fill { name: name.clone(), kind: "queue", depth: upkeep::depth(connection, name)? });
    }
    for (name, topic) in entities.topics() {
        fills.push(Fill { name: name.clone(), kind: "topic", depth: upkeep::depth(connection, name)? });
        for part in topic.subscriptions.keys() {
            let entity = entities::subscription(name, part);
            let depth = upkeep::depth(connection, &entity)?;
            fills.push(Fill { name: entity, kind: "subscription", depth });
        }
    }
    for (name, hub) in entities.hubs() {
        let mut active = 0;
        for group in &hub.consumer_groups {
            let lag = hubs::lag(connection, name, hub, group)?;
            active = active.max(lag.iter().map(|part| part.waiting).sum());
        }
        fills.push(Fill { name: name.clone(), kind: "hub", depth: Depth { active, ..Depth::default() } });
    }
    Ok(fills)
}

/// Milliseconds since 1970-01-01 UTC.
#[must_use]
pub fn milliseconds(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The moment of milliseconds since 1970-01-01 UTC; what lies outside the calendar becomes its end.
#[must_use]
pub fn moment(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(payload::FOREVER)
}
