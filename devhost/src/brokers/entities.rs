//! Reads `infra/bicep/entities.json`: the queues, topics, subscriptions and hubs that exist, here as on Azure.
//!
//! What must stay true: the names are unique over all kinds (the REST path names no kind), an unknown key is refused rather than
//! ignored, and a limit is never silently clamped: what this file says is what the broker does.
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// Where Service Bus allows: "Lock duration maximum 5 minutes" (Service Bus quotas).
const LOCK_MAX_MS: i64 = 5 * 60_000;
/// "Duplicate detection history time window: minimum 20 seconds, maximum 7 days" (Service Bus quotas).
const WINDOW_MIN_MS: i64 = 20_000;
const WINDOW_MAX_MS: i64 = 7 * 24 * 3_600_000;
/// "Maximum delivery count: 1 to 2,000" (Service Bus entity limits).
const DELIVERIES_MAX: u32 = 2_000;
/// "Partitions per event hub: 32" (Event Hubs standard tier).
const PARTITIONS_MAX: u32 = 32;
/// "Event retention: 7 days" (Event Hubs standard tier).
const RETENTION_MAX_MS: i64 = 7 * 24 * 3_600_000;
/// The consumer group that every hub has.
pub const DEFAULT_GROUP: &str = "$Default";

/// Why the file cannot be used; the dev host refuses to start with it.
#[derive(Debug, thiserror::Error)]
pub enum EntitiesError {
    #[error("the entities file cannot be read")]
    Read(#[source] std::io::Error),
    #[error("the entities file is not understood")]
    Parse(#[source] serde_json::Error),
    #[error("entity `{name}`: {fault}")]
    Entity { name: String, fault: String },
}

/// Everything that can be sent to or received from.
#[derive(Debug, Clone, Default)]
pub struct Entities {
    queues: BTreeMap<String, Settings>,
    topics: BTreeMap<String, Topic>,
    hubs: BTreeMap<String, Hub>,
}

/// How a queue or a subscription treats its messages. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub lock_ms: i64,
    pub delivery_count_max: u32,
    pub requires_session: bool,
    /// The longest life of a message; `None` is for ever.
    pub time_to_live_ms: Option<i64>,
    pub dead_letter_on_expiration: bool,
    /// Queues only: how long a message id is remembered.
    pub duplicate_window_ms: Option<i64>,
}

/// A topic: what is sent to it goes to every subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub duplicate_window_ms: Option<i64>,
    pub time_to_live_ms: Option<i64>,
    pub subscriptions: BTreeMap<String, Settings>,
}

/// An event hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    pub partitions: u32,
    pub retention_ms: i64,
    pub consumer_groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    queues: Vec<QueueEntry>,
    #[serde(default)]
    topics: Vec<TopicEntry>,
    #[serde(default)]
    hubs: Vec<HubEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueEntry {
    name: String,
    duplicate_detection_window: Option<String>,
    lock_duration: Option<String>,
    max_delivery_count: Option<u32>,
    #[serde(default)]
    requires_session: bool,
    default_message_time_to_live: Option<String>,
    #[serde(default)]
    dead_lettering_on_message_expiration: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TopicEntry {
    name: String,
    duplicate_detection_window: Option<String>,
    default_message_time_to_live: Option<String>,
    #[serde(default)]
    subscriptions: Vec<SubscriptionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubscriptionEntry {
    name: String,
    lock_duration: Option<String>,
    max_delivery_count: Option<u32>,
    #[serde(default)]
    requires_session: bool,
    default_message_time_to_live: Option<String>,
    #[serde(default)]
    dead_lettering_on_message_expiration: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HubEntry {
    name: String,
    partitions: u32,
    retention: Option<String>,
    #[serde(default)]
    consumer_groups: Vec<String>,
}

impl Entities {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`EntitiesError`] names the entity and the fault.
    pub fn load(path: &Path) -> Result<Self, EntitiesError> {
        Self::parse(&std::fs::read_to_string(path).map_err(EntitiesError::Read)?)
    }

    /// Checks the text of the file.
    ///
    /// # Errors
    /// As [`Entities::load`].
    pub fn parse(text: &str) -> Result<Self, EntitiesError> {
        let file: File = serde_json::from_str(text).map_err(EntitiesError::Parse)?;
        let mut entities = Self::default();
        for entry in file.queues {
            entities.claim(&entry.name)?;
            let settings = queue(&entry).map_err(|fault| EntitiesError::Entity { name: entry.name.clone(), fault })?;
            entities.queues.insert(entry.name, settings);
        }
        for entry in file.topics {
            entities.claim(&entry.name)?;
            let settings = topic(&entry).map_err(|fault| EntitiesError::Entity { name: entry.name.clone(), fault })?;
            entities.topics.insert(entry.name, settings);
        }
        for entry in file.hubs {
            entities.claim(&entry.name)?;
            let settings = hub(&entry).map_err(|fault| EntitiesError::Entity { name: entry.name.clone(), fault })?;
            entities.hubs.insert(entry.name, settings);
        }
        Ok(entities)
    }

    fn claim(&self, name: &str) -> Result<(), EntitiesError> {
        check_name(name).map_err(|fault| EntitiesError::Entity { name: name.to_owned(), fault })?;
        let taken = |have: &String| have.eq_ignore_ascii_case(name);
        if self.queues.keys().any(taken) || self.topics.keys().any(taken) || self.hubs.keys().any(taken) {
            return Err(EntitiesError::Entity { name: name.to_owned(), fault: "the name is used twice".to_owned() });
        }
        Ok(())
    }

    /// The settings of a queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Settings> {
        self.queues.get(name)
    }

    /// A topic with its subscriptions.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The settings of a hub.
    #[must_use]
    pub fn hub(&self, name: &str) -> Option<&Hub> {
        self.hubs.get(name)
    }

    /// Every place from which messages are received: a queue's name or `topic/subscription`.
    pub fn receivers(&self) -> impl Iterator<Item = (String, &Settings)> {
        let queues = self.queues.iter().map(|(name, settings)| (name.clone(), settings));
        let subscriptions = self.topics.iter().flat_map(|(topic, entry)| {
            entry.subscriptions.iter().map(move |(name, settings)| (subscription(topic, name), settings))
        });
        queues.chain(subscriptions)
    }

    /// Queues by name.
    pub fn queues(&self) -> impl Iterator<Item = &String> {
        self.queues.keys()
    }

    /// Topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&String, &Topic)> {
        self.topics.iter()
    }

    /// Hubs by name.
    pub fn hubs(&self) -> impl Iterator<Item = (&String, &Hub)> {
        self.hubs.iter()
    }
}

/// The name under which a subscription's messages are kept. A name holds no `/`, so this cannot meet a queue's.
#[must_use]
pub fn subscription(topic: &str, name: &str) -> String {
    format!("{topic}/{name}")
}

/// The first segment of a request path is an entity's name, so the host's own words are not free.
pub const RESERVED: [&str; 4] = ["admin", "api", "dev", "runtime"];

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let sound = (1..=50).contains(&name.len())
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !sound {
        return Err(
            "a name is 1 to 50 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends".to_owned()
        );
    }
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return Err("the name is reserved for the host's own paths".to_owned());
    }
    Ok(())
}

fn queue(entry: &QueueEntry) -> Result<Settings, String> {
    Ok(Settings {
        duplicate_window_ms: window(entry.duplicate_detection_window.as_deref())?,
        ..receiver(&ReceiverEntry {
            lock_duration: entry.lock_duration.as_deref(),
            max_delivery_count: entry.max_delivery_count,
            requires_session: entry.requires_session,
            time_to_live: entry.default_message_time_to_live.as_deref(),
            dead_letter_on_expiration: entry.dead_lettering_on_message_expiration,
        })?
    })
}

struct ReceiverEntry<'a> {
    lock_duration: Option<&'a str>,
    max_delivery_count: Option<u32>,
    requires_session: bool,
    time_to_live: Option<&'a str>,
    dead_letter_on_expiration: bool,
}

fn receiver(entry: &ReceiverEntry<'_>) -> Result<Settings, String> {
    let lock_ms = entry.lock_duration.map_or(Ok(60_000), duration_ms)?;
    if !(1..=LOCK_MAX_MS).contains(&lock_ms) {
        return Err("`lockDuration` is more than 0 and at most PT5M".to_owned());
    }
    let delivery_count_max = entry.max_delivery_count.unwrap_or(10);
    if !(1..=DELIVERIES_MAX).contains(&delivery_count_max) {
        return Err(format!("`maxDeliveryCount` is 1 to {DELIVERIES_MAX}"));
    }
    Ok(Settings {
        lock_ms,
        delivery_count_max,
        requires_session: entry.requires_session,
        time_to_live_ms: life(entry.time_to_live)?,
        dead_letter_on_expiration: entry.dead_letter_on_expiration,
        duplicate_window_ms: None,
    })
}

fn topic(entry: &TopicEntry) -> Result<Topic, String> {
    let mut subscriptions: BTreeMap<String, Settings> = BTreeMap::new();
    for part in &entry.subscriptions {
        let within = |fault: String| format!("subscription `{}`: {fault}", part.name);
        check_name(&part.name).map_err(within)?;
        let settings = receiver(&ReceiverEntry {
            lock_duration: part.lock_duration.as_deref(),
            max_delivery_count: part.max_delivery_count,
            requires_session: part.requires_session,
            time_to_live: part.default_message_time_to_live.as_deref(),
            dead_letter_on_expiration: part.dead_lettering_on_message_expiration,
        })
        .map_err(within)?;
        if subscriptions.keys().any(|have| have.eq_ignore_ascii_case(&part.name)) {
            return Err(within("the name is used twice".to_owned()));
        }
        subscriptions.insert(part.name.clone(), settings);
    }
    Ok(Topic {
        duplicate_window_ms: window(entry.duplicate_detection_window.as_deref())?,
        time_to_live_ms: life(entry.default_message_time_to_live.as_deref())?,
        subscriptions,
    })
}

fn hub(entry: &HubEntry) -> Result<Hub, String> {
    if !(1..=PARTITIONS_MAX).contains(&entry.partitions) {
        return Err(format!("`partitions` is 1 to {PARTITIONS_MAX}"));
    }
    let retention_ms = entry.retention.as_deref().map_or(Ok(24 * 3_600_000), duration_ms)?;
    if !(1..=RETENTION_MAX_MS).contains(&retention_ms) {
        return Err("`retention` is more than 0 and at most P7D".to_owned());
    }
    let mut consumer_groups = vec![DEFAULT_GROUP.to_owned()];
    for group in &entry.consumer_groups {
        if consumer_groups.iter().any(|have| have.eq_ignore_ascii_case(group)) {
            return Err(format!("consumer group `{group}` is named twice (every hub has `{DEFAULT_GROUP}`)"));
        }
        check_name(group).map_err(|fault| format!("consumer group `{group}`: {fault}"))?;
        consumer_groups.push(group.clone());
    }
    Ok(Hub { partitions: entry.partitions, retention_ms, consumer_groups })
}

fn window(text: Option<&str>) -> Result<Option<i64>, String> {
    let Some(text) = text else { return Ok(None) };
    let window_ms = duration_ms(text)?;
    if !(WINDOW_MIN_MS..=WINDOW_MAX_MS).contains(&window_ms) {
        return Err("`duplicateDetectionWindow` is PT20S to P7D".to_owned());
    }
    Ok(Some(window_ms))
}

fn life(text: Option<&str>) -> Result<Option<i64>, String> {
    let life_ms = text.map(duration_ms).transpose()?;
    if life_ms.is_some_and(|ms| ms < 1_000) {
        return Err("`defaultMessageTimeToLive` is at least PT1S".to_owned());
    }
    Ok(life_ms)
}

/// Milliseconds of an ISO 8601 duration of days, hours, minutes and whole seconds: `P1DT2H3M4S`. Months and years have no fixed
/// length and are refused.
///
/// # Errors
/// A sentence for the person who wrote the file.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    parse_duration(text).ok_or_else(|| format!("`{text}` is not a duration like `PT1M` or `P1DT12H`"))
}

fn parse_duration(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').map_or((rest, None), |(days, clock)| (days, Some(clock)));
    let mut total = units(days, &[('D', 86_400_000)])?;
    if let Some(clock) = clock {
        if clock.is_empty() {
            return None;
        }
        total = total.checked_add(units(clock, &[('H', 3_600_000), ('M', 60_000), ('S', 1_000)])?)?;
    }
    (!rest.is_empty()).then_some(total)
}

/// Sums `12H3M` style parts; each unit at most once, in the order given.
fn units(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total: i64 = 0;
    let mut left = units;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let amount: i64 = text.get(..end)?.parse().ok()?;
        let unit = text.get(end..)?.chars().next()?;
        let at = left.iter().position(|(name, _)| *name == unit)?;
        let (_, factor) = left.get(at)?;
        total = total.checked_add(amount.checked_mul(*factor)?)?;
        left = left.get(at + 1..)?;
        text = text.get(end + 1..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        for (text, ms) in [("PT1M", 60_000), ("P1D", 86_400_000), ("P1DT2H3M4S", 93_784_000), ("PT0S", 0)] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "P", "PT", "1M", "PT1", "P1M", "PT1S1M", "PT1M1M", "PT-1S", "PT1.5S", "P99999999999999999999D"]
        {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_products_own_file_is_understood() {
        let entities = Entities::parse(include_str!("../../../infra/bicep/entities.json")).unwrap();
        assert_eq!(entities.queue("mail").unwrap().duplicate_window_ms, Some(600_000));
        assert!(entities.hub("clicks").unwrap().partitions > 0);
    }

    #[test]
    fn faults_name_the_entity() {
        for (text, name) in [
            (r#"{"queues":[{"name":"a"},{"name":"A"}]}"#, "entity `A`"),
            (r#"{"queues":[{"name":"a"}],"hubs":[{"name":"a","partitions":1}]}"#, "entity `a`"),
            (r#"{"queues":[{"name":"dev"}]}"#, "entity `dev`"),
            (r#"{"queues":[{"name":"a/b"}]}"#, "entity `a/b`"),
            (r#"{"queues":[{"name":"a","lockDuration":"PT6M"}]}"#, "entity `a`"),
            (r#"{"hubs":[{"name":"a","partitions":0}]}"#, "entity `a`"),
            (r#"{"topics":[{"name":"t","subscriptions":[{"name":"s","maxDeliveryCount":0}]}]}"#, "subscription `s`"),
        ] {
            let fault = Entities::parse(text).unwrap_err().to_string();
            assert!(fault.contains(name), "{text}: {fault}");
        }
        assert!(matches!(Entities::parse(r#"{"queues":[{"name":"a","colour":"red"}]}"#), Err(EntitiesError::Parse(_))));
    }
}
