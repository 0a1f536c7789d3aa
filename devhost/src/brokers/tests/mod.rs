//! What the brokers promise, with a clock that the test moves and a handler that the test scripts.
mod hubs;
mod kills;
mod pumps;
mod queues;
mod sessions;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::watch;

use super::entities::Entities;
use super::limits::Limits;
use super::message::{Delivery, Outgoing};
use super::queues as statements;
use super::{Brokers, Listeners, listen, upkeep};
use crate::clock::ManualClock;
use crate::functions::{
    Cardinality, DataType, Entity, EventHubTrigger, Function, RetryPolicy, ServiceBusTrigger, Trigger,
};
use crate::invoke::{Invoke, InvokeFailure, Meta, Payload, TriggerValue};

const START: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);

const ENTITIES: &str = r#"{
  "queues": [
    {"name": "mail", "duplicateDetectionWindow": "PT10M", "lockDuration": "PT1M", "maxDeliveryCount": 3},
    {"name": "stock", "requiresSession": true, "maxDeliveryCount": 2},
    {"name": "short", "defaultMessageTimeToLive": "PT1M", "deadLetteringOnMessageExpiration": true},
    {"name": "brief", "lockDuration": "PT1S"},
    {"name": "gone", "defaultMessageTimeToLive": "PT1M"}
  ],
  "topics": [
    {"name": "orders", "duplicateDetectionWindow": "PT10M", "subscriptions": [
      {"name": "billing"}, {"name": "search", "maxDeliveryCount": 1}, {"name": "stock", "requiresSession": true}]}
  ],
  "hubs": [{"name": "clicks", "partitions": 4, "retention": "PT1H", "consumerGroups": ["learn"]}]
}"#;

/// Brokers in a folder of their own, which can be closed and opened again.
struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    brokers: Arc<Brokers>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let brokers = open(folder.path(), Arc::clone(&clock)).await;
        Self { folder, clock, brokers }
    }

    /// As after a kill: nothing in memory survives.
    async fn restart(self) -> Self {
        let Self { folder, clock, brokers } = self;
        drop(brokers);
        let brokers = open(folder.path(), Arc::clone(&clock)).await;
        Self { folder, clock, brokers }
    }

    /// Sets the clock to so many seconds after the start and does what is due.
    async fn at(&self, seconds: i64) {
        self.clock.set(START + time::Duration::seconds(seconds));
        let (entities, now_ms) = (Arc::clone(&self.brokers.entities), self.brokers.now_ms());
        let awake = self.brokers.database.write(move |c| upkeep::tidy(c, &entities, now_ms)).await.unwrap();
        awake.iter().for_each(|name| self.brokers.wake(name));
    }

    async fn send(&self, destination: &str, id: &str) -> bool {
        self.brokers.send(destination, message(id)).await.unwrap()
    }

    async fn take(&self, entity: &str, most: usize) -> Vec<Delivery> {
        let settings = self.brokers.settings(entity).unwrap();
        self.brokers.acquire(entity, &settings, most).await.unwrap()
    }

    async fn complete(&self, delivery: &Delivery) -> bool {
        let (one, now_ms) = (delivery.clone(), self.brokers.now_ms());
        let done = self.brokers.settle(move |c| statements::complete(c, &one.entity, one.sequence, &one.token, now_ms));
        done.await.is_ok()
    }

    async fn abandon(&self, delivery: &Delivery) {
        let (one, now_ms) = (delivery.clone(), self.brokers.now_ms());
        let settings = self.brokers.settings(&delivery.entity).unwrap();
        self.brokers
            .settle(move |c| statements::abandon(c, &one.entity, one.sequence, &one.token, &settings, now_ms))
            .await
            .unwrap();
    }

    /// Active, dead, scheduled.
    async fn depth(&self, name: &str) -> (i64, i64, i64) {
        let fills = self.brokers.fill().await.unwrap();
        let depth = fills.iter().find(|fill| fill.name == name).unwrap().depth;
        (depth.active, depth.dead_letters, depth.scheduled)
    }

    fn listen(&self, functions: &[Function], script: &Arc<Script>) -> Listeners {
        let invoker: Arc<dyn Invoke> = Arc::<Script>::clone(script);
        listen(&self.brokers, functions, &invoker, &Limits::default()).unwrap()
    }
}

async fn open(folder: &std::path::Path, clock: Arc<ManualClock>) -> Arc<Brokers> {
    Brokers::open(&folder.join("host.db"), Entities::parse(ENTITIES).unwrap(), clock).await.unwrap()
}

fn message(id: &str) -> Outgoing {
    Outgoing { message_id: Some(id.to_owned()), body: format!("body of {id}").into_bytes(), ..Outgoing::default() }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message_id.as_str()).collect()
}

fn on_queue(name: &str, queue: &str, sessions: bool, cardinality: Cardinality) -> Function {
    let entity = Entity::Queue(queue.to_owned());
    let trigger = ServiceBusTrigger { entity, sessions, cardinality, data_type: DataType::Text };
    function(name, Trigger::ServiceBus(trigger), None)
}

fn on_hub(name: &str, cardinality: Cardinality, retry: Option<RetryPolicy>) -> Function {
    let trigger = EventHubTrigger {
        hub: "clicks".to_owned(),
        consumer_group: "$Default".to_owned(),
        cardinality,
        data_type: DataType::Text,
    };
    function(name, Trigger::EventHub(trigger), retry)
}

fn function(name: &str, trigger: Trigger, retry: Option<RetryPolicy>) -> Function {
    Function { name: name.to_owned(), binding: "msg".to_owned(), trigger, disabled: false, retry }
}

/// What the scripted handler does with a call.
#[derive(Clone, Copy)]
enum Act {
    Succeed,
    Fail,
    NotCalled,
    /// Waits for the test's permission, then succeeds.
    Hold,
}

/// A handler that records its calls. What the script does not say succeeds.
struct Script {
    calls: Mutex<Vec<Payload>>,
    acts: Mutex<VecDeque<Act>>,
    always: Mutex<Act>,
    up: watch::Sender<bool>,
    permits: tokio::sync::Semaphore,
}

impl Script {
    fn new(acts: &[Act]) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::new(Vec::new()),
            acts: Mutex::new(acts.iter().copied().collect()),
            always: Mutex::new(Act::Succeed),
            up: watch::Sender::new(true),
            permits: tokio::sync::Semaphore::new(0),
        })
    }

    fn always(act: Act) -> Arc<Self> {
        let script = Self::new(&[]);
        *script.always.lock().unwrap() = act;
        script
    }

    fn calls(&self) -> Vec<Payload> {
        self.calls.lock().unwrap().clone()
    }

    /// The calls once there are `count` of them.
    async fn after(&self, count: usize) -> Vec<Payload> {
        until(|| self.calls.lock().unwrap().len() >= count).await;
        self.calls()
    }
}

#[async_trait]
impl Invoke for Script {
    async fn invoke(&self, function: &str, payload: Payload) -> Result<(), InvokeFailure> {
        self.calls.lock().unwrap().push(payload);
        let next = self.acts.lock().unwrap().pop_front();
        let act = next.unwrap_or(*self.always.lock().unwrap());
        let function = function.to_owned();
        match act {
            Act::Succeed => Ok(()),
            Act::Fail => Err(InvokeFailure::Failed { function, reason: "scripted".to_owned() }),
            Act::NotCalled => Err(InvokeFailure::NotCalled { function }),
            Act::Hold => {
                self.permits.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }

    fn is_running(&self, _: &str) -> bool {
        *self.up.borrow()
    }

    async fn running(&self, _: &str) {
        self.up.subscribe().wait_for(|up| *up).await.unwrap();
    }
}

/// Waits for a condition, for at most ten seconds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the condition did not come true in time");
}

async fn until_depth(bench: &Bench, name: &str, depth: (i64, i64, i64)) {
    for _ in 0..2_000 {
        if bench.depth(name).await == depth {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name} is at {:?} and not at {depth:?}", bench.depth(name).await);
}

fn fact<'a>(payload: &'a Payload, name: &str) -> &'a Meta {
    &payload.metadata.iter().find(|(key, _)| key == name).unwrap().1
}

fn text(payload: &Payload) -> &str {
    match &payload.value {
        TriggerValue::Text(text) => text,
        other => panic!("{other:?} is not text"),
    }
}
