//! Numbers the effects of one run, and makes one of them its last, its pause, or a failure.
//!
//! A run that is dead or frozen touches nothing more, also not through a branch that it runs at the same
//! time: a killed process and a stopped machine have no other branch either.
use std::{
    future::{Future, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use tokio::sync::{Notify, watch};

/// What becomes of the chosen effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The run never goes on, and the effect has not happened.
    CrashBefore,
    /// The run never goes on, but the effect has happened.
    CrashAfter,
    FreezeBefore,
    FreezeAfter,
    /// Refused because someone else was faster (412, 409). What has no such answer is lost instead.
    Conflict,
    /// No answer, and no effect.
    LostBefore,
    /// No answer, but the effect has happened.
    LostAfter,
}

pub(crate) struct Effects {
    at: Option<(u32, Fate)>,
    count: AtomicU32,
    turns: AtomicU32,
    dead: AtomicBool,
    frozen: watch::Sender<bool>,
    hit: Notify,
    log: Mutex<Vec<String>>,
}

impl Effects {
    pub(crate) fn all_well() -> Arc<Effects> {
        Effects::new(None)
    }

    pub(crate) fn with(number: u32, fate: Fate) -> Arc<Effects> {
        Effects::new(Some((number, fate)))
    }

    fn new(at: Option<(u32, Fate)>) -> Arc<Effects> {
        Arc::new(Effects {
            at,
            count: AtomicU32::new(0),
            turns: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            frozen: watch::channel(false).0,
            hit: Notify::new(),
            log: Mutex::default(),
        })
    }

    /// How many effects there were.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// How often anything was asked of a port, reads too.
    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::SeqCst)
    }

    /// What they were, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The effect that was not left alone.
    pub(crate) fn disturbed(&self) -> Option<String> {
        let (at, _) = self.at?;
        self.log().get(at as usize).cloned()
    }

    /// Ends when the chosen effect is reached.
    pub(crate) async fn hit(&self) {
        self.hit.notified().await;
    }

    pub(super) fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Lets others go first, as any real port would; a dead run gets no turn any more.
    pub(super) async fn turn(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.dead.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        let mut frozen = self.frozen.subscribe();
        frozen.wait_for(|it| !it).await.unwrap();
    }

    /// `conflict` is the answer to one who was too slow, `lost` the answer that says nothing.
    pub(super) async fn effect<T, E>(
        &self,
        name: String,
        work: impl Future<Output = Result<T, E>> + Send,
        conflict: Option<E>,
        lost: E,
    ) -> Result<T, E> {
        self.turn().await;
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(format!("{number} {name}"));
        match self.at.filter(|(at, _)| *at == number).map(|(_, fate)| fate) {
            None => work.await,
            Some(Fate::CrashBefore) => self.die().await,
            Some(Fate::CrashAfter) => {
                work.await.ok();
                self.die().await
            }
            Some(Fate::FreezeBefore) => {
                self.freeze().await;
                work.await
            }
            Some(Fate::FreezeAfter) => {
                let done = work.await;
                self.freeze().await;
                done
            }
            Some(Fate::Conflict) => Err(conflict.unwrap_or(lost)),
            Some(Fate::LostBefore) => Err(lost),
            Some(Fate::LostAfter) => work.await.and(Err(lost)),
        }
    }

    async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::SeqCst);
        self.hit.notify_one();
        pending().await
    }

    async fn freeze(&self) {
        let mut frozen = self.frozen.subscribe();
        self.frozen.send_replace(true);
        self.hit.notify_one();
        frozen.wait_for(|it| !it).await.unwrap();
    }
}
