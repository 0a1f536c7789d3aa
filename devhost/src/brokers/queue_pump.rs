//! Pushes messages of one queue or subscription to one function and settles them by how the invocation ended.
//!
//! What must stay true: success completes, failure abandons, and a handler that was not called gives the message back uncounted;
//! locks are renewed while an invocation runs, up to the host's limit; no message is taken while the handler is down.
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::entities::Settings;
use super::limits::Limits;
use super::message::{BrokerError, Delivery};
use super::queues::SessionLock;
use super::{Brokers, payload, queues};
use crate::functions::{Cardinality, Function, ServiceBusTrigger};
use crate::invoke::{Invoke, InvokeFailure};

/// Pause after a fault of the file or a call that did not reach the handler, so that neither becomes a busy loop.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// One function's side of one queue.
pub(super) struct Receiver {
    pub brokers: Arc<Brokers>,
    pub function: Function,
    pub trigger: ServiceBusTrigger,
    pub entity: String,
    pub settings: Settings,
    pub invoker: Arc<dyn Invoke>,
    pub limits: Limits,
}

/// Receives for ever. Batches run one at a time, as on the host; single messages as many at once as host.json says.
pub(super) async fn run(receiver: Arc<Receiver>) {
    let Some(mut wakes) = receiver.brokers.watch(&receiver.entity) else { return };
    let (calls_max, take_max) = match receiver.trigger.cardinality {
        Cardinality::One => (receiver.limits.concurrent_calls, 1),
        Cardinality::Many => (1, receiver.limits.message_batch),
    };
    let mut calls = JoinSet::new();
    loop {
        while calls.try_join_next().is_some() {}
        let free = calls_max - calls.len().min(calls_max);
        if free > 0 {
            receiver.invoker.running(&receiver.function.name).await;
            wakes.mark_unchanged();
            let taken = receiver.brokers.acquire(&receiver.entity, &receiver.settings, free * take_max).await;
            let deliveries = receiver.or_pause(taken).await;
            if !deliveries.is_empty() {
                for batch in deliveries.chunks(take_max) {
                    let (receiver, batch) = (Arc::clone(&receiver), batch.to_vec());
                    calls.spawn(async move { receiver.deliver(batch, None).await });
                }
                continue;
            }
        }
        tokio::select! {
            // The sender lives as long as the brokers, so this ends only by a wake.
            _ = wakes.changed(), if free > 0 => {}
            _ = calls.join_next(), if !calls.is_empty() => {}
        }
    }
}

impl Receiver {
    /// Nothing, after a pause and a line in the log, where taking messages failed.
    pub(super) async fn or_pause(&self, taken: Result<Vec<Delivery>, BrokerError>) -> Vec<Delivery> {
        match taken {
            Ok(deliveries) => deliveries,
            Err(error) => {
                self.report("Messages could not be received.", &error);
                tokio::time::sleep(PAUSE).await;
                Vec::new()
            }
        }
    }

    fn report(&self, what: &str, error: &BrokerError) {
        let cause = error as &dyn std::error::Error;
        tracing::error!(function = self.function.name, entity = self.entity, error = cause, "{what}");
    }

    /// One invocation with everything that follows from it.
    pub(super) async fn deliver(&self, deliveries: Vec<Delivery>, session: Option<&SessionLock>) {
        let payload = match (self.trigger.cardinality, deliveries.as_slice()) {
            (Cardinality::One, [delivery]) => payload::message(&self.function, &self.trigger, delivery),
            (_, batch) => payload::messages(&self.function, &self.trigger, batch),
        };
        let ended = {
            let call = self.invoker.invoke(&self.function.name, payload);
            tokio::pin!(call);
            let renewal = self.renew_while_running(&deliveries, session);
            tokio::select! {
                ended = &mut call => ended,
                never = renewal => match never {},
            }
        };
        let handed_over = !matches!(ended, Err(InvokeFailure::NotCalled { .. }));
        self.settle(deliveries, &ended).await;
        if !handed_over {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Single messages only, as on the host: a batch that outlives its locks comes again.
    async fn renew_while_running(
        &self,
        deliveries: &[Delivery],
        session: Option<&SessionLock>,
    ) -> std::convert::Infallible {
        let begun = Instant::now();
        let half = Duration::from_millis(u64::try_from(self.settings.lock_ms / 2).unwrap_or(1).max(1));
        if self.trigger.cardinality == Cardinality::One {
            while begun.elapsed() + half < self.limits.renewal {
                tokio::time::sleep(half).await;
                match self.renew(deliveries, session).await {
                    Ok(()) => {}
                    Err(BrokerError::LockLost) => break,
                    Err(error) => self.report("A lock could not be renewed.", &error),
                }
            }
        }
        std::future::pending().await
    }

    async fn renew(&self, deliveries: &[Delivery], session: Option<&SessionLock>) -> Result<(), BrokerError> {
        let now_ms = self.brokers.now_ms();
        let (entity, settings, session) = (self.entity.clone(), self.settings.clone(), session.cloned());
        let locks: Vec<(i64, String)> = deliveries.iter().map(|d| (d.sequence, d.token.clone())).collect();
        self.brokers
            .settle(move |connection| match session {
                Some(held) => queues::renew_session(connection, &entity, &held, &settings, now_ms),
                None => locks.iter().try_for_each(|(sequence, token)| {
                    queues::renew(connection, &entity, *sequence, token, &settings, now_ms)
                }),
            })
            .await
    }

    async fn settle(&self, deliveries: Vec<Delivery>, ended: &Result<(), InvokeFailure>) {
        let (entity, settings, now_ms) = (self.entity.clone(), self.settings.clone(), self.brokers.now_ms());
        let verdict = match ended {
            Ok(()) => Verdict::Complete,
            Err(InvokeFailure::Failed { .. }) => Verdict::Abandon,
            Err(InvokeFailure::NotCalled { .. }) => Verdict::GiveBack,
        };
        let settled = self
            .brokers
            .settle(move |connection| {
                let mut outcome = Ok(());
                for Delivery { sequence, token, .. } in &deliveries {
                    let one = match verdict {
                        Verdict::Complete => queues::complete(connection, &entity, *sequence, token, now_ms),
                        Verdict::Abandon => queues::abandon(connection, &entity, *sequence, token, &settings, now_ms),
                        Verdict::GiveBack => queues::give_back(connection, &entity, *sequence, token),
                    };
                    match one {
                        // One lost lock must not undo the settlement of the others.
                        Err(BrokerError::LockLost) => {
                            tracing::warn!(entity, sequence, "A message's lock ended before it was settled.");
                        }
                        other => outcome = outcome.and(other),
                    }
                }
                outcome
            })
            .await;
        if let Err(error) = settled {
            self.report("Messages could not be settled and come again when their locks end.", &error);
        }
        if verdict != Verdict::Complete {
            // Another function may listen to the same queue.
            self.brokers.wake(&self.entity);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Complete,
    Abandon,
    GiveBack,
}
