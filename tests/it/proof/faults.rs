//! What happens to the effects of one process: each has a number, takes virtual time, and may be refused,
//! go unanswered, or be the last thing the process ever does.
//!
//! A process that is dead touches nothing more, on no branch.
use std::{
    future::{Future, pending},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::chance::Chance;

/// What becomes of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The process ends and the effect has not happened.
    CrashBefore,
    /// The process ends and the effect has happened; nobody heard so.
    CrashAfter,
    /// Someone else was faster (409, 412). An effect that knows no such answer is lost instead.
    Conflict,
    /// 429, or no answer; no effect.
    LostBefore,
    /// No answer, but the effect has happened.
    LostAfter,
}

pub(super) const FATES: [Fate; 5] =
    [Fate::CrashBefore, Fate::CrashAfter, Fate::Conflict, Fate::LostBefore, Fate::LostAfter];

/// How often things go wrong, in a thousand effects, and how long effects take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    pub(super) conflict: u32,
    pub(super) lost_before: u32,
    pub(super) lost_after: u32,
    /// Reads of what may be old that answer the version before.
    pub(super) stale: u32,
    /// Effects that take `stall` instead.
    pub(super) stalled: u32,
    /// Virtual time of one effect, drawn from zero to this.
    pub(super) delay: Duration,
    pub(super) stall: Duration,
}

#[derive(Debug)]
enum Plan {
    Calm,
    At(u32, Fate),
    /// At this effect the machine stands still for so long; so many effects after that fail.
    Frozen(u32, Duration, u32),
    Drawn(Rates, Chance),
}

/// The fate of one process.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Plan,
    count: AtomicU32,
    /// The process ends at the effect with this number.
    last: Mutex<Option<u32>>,
    dead: AtomicBool,
    /// Wakes whoever waits for the end, in the order in which they came: a seed decides that as well.
    died: Notify,
    /// Until when the whole machine stands still.
    thaws: Mutex<Option<Instant>>,
    log: Mutex<Vec<String>>,
}

impl Faults {
    fn new(plan: Plan) -> Faults {
        Faults {
            plan,
            count: AtomicU32::new(0),
            last: Mutex::default(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            thaws: Mutex::default(),
            log: Mutex::default(),
        }
    }

    pub(super) fn calm() -> Faults {
        Faults::new(Plan::Calm)
    }

    /// Only effect number `at` meets this fate.
    pub(super) fn at(at: u32, fate: Fate) -> Faults {
        Faults::new(Plan::At(at, fate))
    }

    pub(super) fn frozen(at: u32, time: Duration, fails: u32) -> Faults {
        Faults::new(Plan::Frozen(at, time, fails))
    }

    /// Whether it came to that.
    pub(super) fn was_frozen(&self) -> bool {
        self.thaws.lock().unwrap().is_some()
    }

    pub(super) fn drawn(rates: Rates, chance: Chance) -> Faults {
        Faults::new(Plan::Drawn(rates, chance))
    }

    /// The process ends after so many more effects, or in the middle of one.
    pub(super) fn end_after(&self, effects: u32) {
        *self.last.lock().unwrap() = Some(self.count() + effects);
    }

    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts as if there had been so many effects.
    pub(super) fn skip_to(&self, count: u32) {
        self.count.fetch_max(count, Ordering::SeqCst);
    }

    /// The effects so far, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Ends when the process does.
    pub(super) async fn ended(&self) {
        let died = self.died.notified();
        if !self.is_dead() {
            died.await;
        }
    }

    /// Runs until done, or until the process ends: then `None`.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.is_dead() {
            return None;
        }
        tokio::select! {
            biased;
            () = self.ended() => None,
            done = work => Some(done),
        }
    }

    /// One read: takes its time, and has no number because it changes nothing.
    pub(super) async fn read(&self) {
        self.pass_time().await;
    }

    /// Whether this read of something that may be old answers the version before.
    pub(super) fn is_stale(&self) -> bool {
        matches!(&self.plan, Plan::Drawn(rates, chance) if chance.in_1000(rates.stale))
    }

    /// A read may be lost as well.
    pub(super) fn is_lost(&self) -> bool {
        matches!(&self.plan, Plan::Drawn(rates, chance) if chance.in_1000(rates.lost_before))
    }

    /// `conflict` is the answer to one who was too slow, `lost` the answer that says nothing.
    pub(super) async fn effect<T, E>(
        &self,
        name: String,
        work: impl Future<Output = Result<T, E>> + Send,
        conflict: Option<E>,
        lost: E,
    ) -> Result<T, E> {
        self.pass_time().await;
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.freeze(number).await;
        let fate = self.fate(number);
        self.log.lock().unwrap().push(format!("{number} {name}"));
        let done = match fate {
            None => work.await,
            Some(Fate::CrashBefore) => self.die().await,
            Some(Fate::CrashAfter) => {
                work.await.ok();
                self.die().await
            }
            Some(Fate::Conflict) => Err(conflict.unwrap_or(lost)),
            Some(Fate::LostBefore) => Err(lost),
            Some(Fate::LostAfter) => work.await.and(Err(lost)),
        };
        // The answer is on its way; whoever dies meanwhile never hears it.
        self.pass_time().await;
        done
    }

    fn fate(&self, number: u32) -> Option<Fate> {
        if self.last.lock().unwrap().is_some_and(|last| number >= last) {
            return Some(if number.is_multiple_of(2) { Fate::CrashBefore } else { Fate::CrashAfter });
        }
        match &self.plan {
            Plan::Calm => None,
            Plan::At(at, fate) => (*at == number).then_some(*fate),
            Plan::Frozen(at, _, fails) => (number >= *at && number < *at + fails).then_some(Fate::LostBefore),
            Plan::Drawn(rates, chance) => {
                let drawn = chance.below(1_000);
                let edges = [
                    (rates.conflict, Fate::Conflict),
                    (rates.lost_before, Fate::LostBefore),
                    (rates.lost_after, Fate::LostAfter),
                ];
                let mut edge = 0;
                edges.into_iter().find_map(|(rate, fate)| {
                    edge += u64::from(rate);
                    (drawn < edge).then_some(fate)
                })
            }
        }
    }

    async fn freeze(&self, number: u32) {
        if let Plan::Frozen(at, time, _) = &self.plan
            && *at == number
        {
            let thaws = Instant::now() + *time;
            *self.thaws.lock().unwrap() = Some(thaws);
            tokio::time::sleep_until(thaws).await;
        }
    }

    async fn pass_time(&self) {
        self.alive().await;
        let thaws = *self.thaws.lock().unwrap();
        if let Some(thaws) = thaws {
            tokio::time::sleep_until(thaws).await;
        }
        match &self.plan {
            Plan::Drawn(rates, chance) => {
                let longest = u64::try_from(rates.delay.as_micros()).unwrap();
                let delay = if chance.in_1000(rates.stalled) {
                    rates.stall
                } else {
                    Duration::from_micros(chance.below(longest.max(1)))
                };
                tokio::time::sleep(delay).await;
            }
            Plan::Calm | Plan::At(..) | Plan::Frozen(..) => tokio::task::yield_now().await,
        }
        self.alive().await;
    }

    /// A dead process gets no turn any more.
    async fn alive(&self) {
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_waiters();
        pending().await
    }
}
