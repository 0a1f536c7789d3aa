//! Timers: one loop per function, which never lets two runs of the same function overlap.
//!
//! A failed run is not repeated (unless the function's retry policy says so); the next occurrence runs as planned. The
//! status is stored after the run, so a run that was cut off by a kill is made up for at the next start.
mod plan;
pub mod schedule;
mod store;

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use self::{
    plan::{Start, TimerStatus, after_run, is_monitored, on_start},
    schedule::{Schedule, ScheduleError},
    store::{TimerStore, TimerStoreError},
};
use crate::{
    clock::Clock,
    ending::EndSignal,
    functions::{Function, TimerTrigger, Trigger},
    invoke::{Invoke, Payload, TriggerValue},
};

/// Longest sleep before the clock is looked at again, since the machine's clock may be set or the machine may sleep.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// All enabled timers.
pub struct Timers {
    timers: HashMap<String, Arc<Timer>>,
    store: TimerStore,
    invoker: Arc<dyn Invoke>,
    clock: Arc<dyn Clock>,
    end: EndSignal,
}

/// Why timers could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TimersError {
    #[error(transparent)]
    Store(#[from] TimerStoreError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

struct Timer {
    function: String,
    binding: String,
    trigger: TimerTrigger,
    schedule: Schedule,
    /// Held during a run.
    turn: Mutex<()>,
}

impl Timers {
    /// Opens the store and reads the schedules; starts nothing.
    ///
    /// # Errors
    /// The database cannot be opened, or a schedule cannot be parsed (the loader has refused those before).
    pub fn open(
        file: &Path,
        functions: &[Function],
        invoker: Arc<dyn Invoke>,
        clock: Arc<dyn Clock>,
        end: EndSignal,
    ) -> Result<Arc<Self>, TimersError> {
        let mut timers = HashMap::new();
        for function in functions.iter().filter(|it| !it.disabled) {
            if let Trigger::Timer(trigger) = &function.trigger {
                let timer = Timer {
                    function: function.name.clone(),
                    binding: function.binding.clone(),
                    schedule: Schedule::parse(&trigger.schedule)?,
                    trigger: trigger.clone(),
                    turn: Mutex::new(()),
                };
                timers.insert(function.name.clone(), Arc::new(timer));
            }
        }
        Ok(Arc::new(Self { timers, store: TimerStore::open(file)?, invoker, clock, end }))
    }

    /// Plans every timer, stores what is new, and starts one loop per timer; the loops end with the dev host.
    ///
    /// # Errors
    /// The stored statuses cannot be read or written.
    pub async fn start(self: &Arc<Self>) -> Result<(), TimersError> {
        for timer in self.timers.values() {
            let Some((status, start)) = self.plan(timer).await? else { continue };
            let (timers, timer) = (Arc::clone(self), Arc::clone(timer));
            tokio::spawn(async move {
                tokio::select! {
                    _ = timers.end.given() => {}
                    outcome = timers.keep_running(&timer, status, start) => match outcome {
                        Ok(()) => tracing::warn!("Timer `{}` has no further occurrence.", timer.function),
                        Err(fault) => tracing::error!("Timer `{}` stops: {fault}", timer.function),
                    }
                }
            });
        }
        Ok(())
    }

    /// Runs a timer once, out of turn; `false` when there is no such timer.
    pub async fn run_now(&self, function: &str) -> bool {
        let Some(timer) = self.timers.get(function) else { return false };
        self.run(timer, None, false).await;
        true
    }

    async fn plan(&self, timer: &Timer) -> Result<Option<(TimerStatus, Start)>, TimerStoreError> {
        let is_stored = is_monitored(&timer.schedule, timer.trigger.use_monitor);
        let stored = if is_stored { self.store.load(&timer.function).await? } else { None };
        let planned = on_start(&timer.schedule, stored, self.clock.now(), timer.trigger.run_on_startup);
        if let Some((status, _)) = planned.filter(|(status, _)| is_stored && stored != Some(*status)) {
            self.store.save(&timer.function, status).await?;
        }
        Ok(planned)
    }

    async fn keep_running(&self, timer: &Timer, mut status: TimerStatus, start: Start) -> Result<(), TimerStoreError> {
        let is_stored = is_monitored(&timer.schedule, timer.trigger.use_monitor);
        let mut start = Some(start).filter(|it| *it != Start::Wait);
        loop {
            if start.is_none() {
                self.wait_until(status.next).await;
            }
            let began = self.clock.now();
            let shown = is_stored.then_some(status);
            self.run(timer, shown, start == Some(Start::RunPastDue)).await;
            let Some(next) = after_run(&timer.schedule, status, began, start.is_none()) else { return Ok(()) };
            start = None;
            status = next;
            if is_stored {
                self.store.save(&timer.function, status).await?;
                tracing::info!("Timer `{}` runs next at {}.", timer.function, status.next);
            }
        }
    }

    async fn run(&self, timer: &Timer, status: Option<TimerStatus>, is_past_due: bool) {
        let _turn = timer.turn.lock().await;
        let payload = Payload {
            binding: timer.binding.clone(),
            value: TriggerValue::Object(timer_info(status, is_past_due)),
            metadata: Vec::new(),
            promote: false,
        };
        if let Err(fault) = self.invoker.invoke(&timer.function, payload).await {
            tracing::error!("Timer {fault}");
        }
    }

    async fn wait_until(&self, moment: OffsetDateTime) {
        loop {
            let left = moment - self.clock.now();
            let Ok(left) = Duration::try_from(left) else { return };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLEEP_MAX)).await;
        }
    }
}

fn timer_info(status: Option<TimerStatus>, is_past_due: bool) -> Value {
    json!({
        "Schedule": {"AdjustForDST": true},
        "ScheduleStatus": status.map(|it| it.content()),
        "IsPastDue": is_past_due,
    })
}
