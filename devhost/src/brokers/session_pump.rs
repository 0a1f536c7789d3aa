//! Pushes messages of sessions to one function: one at a time within a session, in order; several sessions at once.
//!
//! What must stay true: a message is not overtaken by a younger one of its session, so a failed message is tried again before the
//! next. A session is given back as soon as it has no message (the host waits out its `sessionIdleTimeout` instead; that only
//! delays other sessions).
use std::sync::Arc;

use tokio::task::JoinSet;

use super::message::BrokerError;
use super::queue_pump::{PAUSE, Receiver};
use super::queues::{self, SessionLock};
use crate::functions::Cardinality;

/// Takes sessions for ever.
pub(super) async fn run(receiver: Arc<Receiver>) {
    let Some(mut wakes) = receiver.brokers.watch(&receiver.entity) else { return };
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        let free = sessions.len() < receiver.limits.concurrent_sessions;
        if free {
            receiver.invoker.running(&receiver.function.name).await;
            wakes.mark_unchanged();
            if let Some(held) = receiver.next_session().await {
                let receiver = Arc::clone(&receiver);
                sessions.spawn(async move { receiver.drain(&held).await });
                continue;
            }
        }
        tokio::select! {
            // The sender lives as long as the brokers, so this ends only by a wake.
            _ = wakes.changed(), if free => {}
            _ = sessions.join_next(), if !sessions.is_empty() => {}
        }
    }
}

impl Receiver {
    async fn next_session(&self) -> Option<SessionLock> {
        let (entity, settings, now_ms) = (self.entity.clone(), self.settings.clone(), self.brokers.now_ms());
        let lapses_ms = now_ms + settings.lock_ms;
        let taken = self
            .brokers
            .database
            .write(move |connection| queues::acquire_session(connection, &entity, &settings, now_ms))
            .await;
        self.brokers.plan(lapses_ms);
        match taken {
            Ok(held) => held,
            Err(error) => {
                self.or_pause(Err(error)).await;
                None
            }
        }
    }

    /// Delivers until the session is empty, its lock is lost or the handler is down.
    async fn drain(&self, held: &SessionLock) {
        let most = match self.trigger.cardinality {
            Cardinality::One => 1,
            Cardinality::Many => self.limits.message_batch,
        };
        while self.invoker.is_running(&self.function.name) {
            let (entity, settings, now_ms) = (self.entity.clone(), self.settings.clone(), self.brokers.now_ms());
            let session = held.clone();
            let taken = self
                .brokers
                .database
                .write(move |connection| {
                    queues::acquire_in_session(connection, &entity, &session, &settings, now_ms, most)
                })
                .await;
            if matches!(taken, Err(BrokerError::LockLost)) {
                return;
            }
            let deliveries = self.or_pause(taken).await;
            if deliveries.is_empty() {
                break;
            }
            self.deliver(deliveries, Some(held)).await;
        }
        let (entity, session) = (self.entity.clone(), held.clone());
        let released =
            self.brokers.settle(move |connection| queues::release_session(connection, &entity, &session)).await;
        if released.is_err() {
            // The lock ends by itself.
            tokio::time::sleep(PAUSE).await;
        }
        // A message may have come between the last look and the release.
        self.brokers.wake(&self.entity);
    }
}
