//! Pushes the events of one partition to one function.
//!
//! What must stay true: one invocation at a time per partition; the checkpoint moves after a batch whether it succeeded or failed
//! (the function's retry policy comes first), and not when the handler was never called.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::hubs::{self, Event};
use super::message::BrokerError;
use super::queue_pump::PAUSE;
use super::{Brokers, payload};
use crate::functions::{Cardinality, EventHubTrigger, Function};
use crate::invoke::{Invoke, InvokeFailure, Payload};

/// One function's side of one partition.
pub(super) struct Reader {
    pub brokers: Arc<Brokers>,
    pub function: Function,
    pub trigger: EventHubTrigger,
    pub partition: u32,
    pub invoker: Arc<dyn Invoke>,
    pub batch_max: usize,
    /// With fewer events a batch waits for more, but no longer than this.
    pub batch_min: usize,
    pub wait_max: Duration,
}

impl Reader {
    /// Reads for ever.
    pub(super) async fn run(self) {
        let Some(mut wakes) = self.brokers.watch(&self.trigger.hub) else { return };
        let mut waits_until = None;
        loop {
            self.invoker.running(&self.function.name).await;
            wakes.mark_unchanged();
            match self.fetch().await {
                Ok(batch) if batch.is_empty() => {
                    if wakes.changed().await.is_err() {
                        return;
                    }
                }
                Ok(batch) if batch.len() < self.batch_min && self.is_early(&mut waits_until) => {
                    let until = waits_until.unwrap_or_else(Instant::now);
                    if let Ok(Err(_)) = tokio::time::timeout_at(until, wakes.changed()).await {
                        return;
                    }
                }
                Ok(batch) => {
                    waits_until = None;
                    self.hand_over(&batch).await;
                    self.checkpoint(&batch).await;
                }
                Err(error) => {
                    self.report("Events could not be read.", &error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Whether what is there may still wait for more; the wait begins when this is first asked.
    fn is_early(&self, waits_until: &mut Option<Instant>) -> bool {
        let now = Instant::now();
        *waits_until.get_or_insert(now + self.wait_max) > now
    }

    fn report(&self, what: &str, error: &BrokerError) {
        let cause = error as &dyn std::error::Error;
        tracing::error!(hub = self.trigger.hub, partition = self.partition, error = cause, "{what}");
    }

    async fn fetch(&self) -> Result<Vec<Event>, BrokerError> {
        let (hub, group) = (self.trigger.hub.clone(), self.trigger.consumer_group.clone());
        let (partition, most) = (self.partition, self.batch_max);
        self.brokers.database.read(move |connection| hubs::fetch(connection, &hub, &group, partition, most)).await
    }

    /// With cardinality one the failure of one event does not stop the next.
    async fn hand_over(&self, batch: &[Event]) {
        match self.trigger.cardinality {
            Cardinality::Many => {
                self.invoke(|| payload::events(&self.function, &self.trigger, self.partition, batch)).await;
            }
            Cardinality::One => {
                for event in batch {
                    self.invoke(|| payload::one_event(&self.function, &self.trigger, self.partition, event)).await;
                }
            }
        }
    }

    async fn invoke(&self, payload: impl Fn() -> Payload) {
        loop {
            match self.invoker.invoke(&self.function.name, payload()).await {
                Ok(()) => return,
                Err(InvokeFailure::NotCalled { .. }) => {
                    tokio::time::sleep(PAUSE).await;
                    self.invoker.running(&self.function.name).await;
                }
                Err(failure) => {
                    let (hub, partition) = (&self.trigger.hub, self.partition);
                    let cause = &failure as &dyn std::error::Error;
                    tracing::warn!(hub, partition, error = cause, "Events failed and are passed over.");
                    return;
                }
            }
        }
    }

    async fn checkpoint(&self, batch: &[Event]) {
        let Some(last) = batch.last() else { return };
        loop {
            let (hub, group) = (self.trigger.hub.clone(), self.trigger.consumer_group.clone());
            let (partition, sequence) = (self.partition, last.sequence);
            let moved = self
                .brokers
                .settle(move |connection| hubs::checkpoint(connection, &hub, &group, partition, sequence))
                .await;
            let Err(error) = moved else { return };
            self.report("A checkpoint could not be written.", &error);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
