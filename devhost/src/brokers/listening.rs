//! Starts one pump per function that a message or event starts.
//!
//! What must stay true: a function that listens to something that is not declared stops the start, because it would otherwise never
//! be called and nobody would be told; two functions may compete for one queue but not for one consumer group.
use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::limits::Limits;
use super::message::BrokerError;
use super::{Brokers, hub_pump, payload, queue_pump, session_pump};
use crate::functions::{EventHubTrigger, Function, ServiceBusTrigger, Trigger};
use crate::invoke::Invoke;

/// The running pumps and the upkeep; dropping it stops them. What is locked then comes again after the lock.
#[derive(Debug)]
pub struct Listeners {
    /// Held for its `Drop`, which ends every task in it.
    pumps: JoinSet<()>,
}

impl Listeners {
    /// How many pumps run, the upkeep included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pumps.len()
    }
}

/// Checks the triggers against the declared entities and starts the pumps of functions that are not disabled.
///
/// # Errors
/// [`BrokerError::Invalid`] names the function and what it listens to.
pub fn listen(
    brokers: &Arc<Brokers>,
    functions: &[Function],
    invoker: &Arc<dyn Invoke>,
    limits: &Limits,
) -> Result<Listeners, BrokerError> {
    let mut pumps = JoinSet::new();
    let mut groups = HashSet::new();
    pumps.spawn(Arc::clone(brokers).keep_up());
    for function in functions {
        match &function.trigger {
            Trigger::ServiceBus(trigger) => {
                let task = service_bus(brokers, function, trigger, invoker, limits)?;
                if !function.disabled {
                    pumps.spawn(task);
                }
            }
            Trigger::EventHub(trigger) => {
                let partitions = check_hub(brokers, function, trigger)?;
                if function.disabled {
                    continue;
                }
                if !groups.insert((trigger.hub.clone(), trigger.consumer_group.clone())) {
                    return Err(BrokerError::Invalid(format!(
                        "function `{}`: consumer group `{}` of hub `{}` has a function already",
                        function.name, trigger.consumer_group, trigger.hub
                    )));
                }
                for partition in 0..partitions {
                    let reader = hub_pump::Reader {
                        brokers: Arc::clone(brokers),
                        function: function.clone(),
                        trigger: trigger.clone(),
                        partition,
                        invoker: Arc::clone(invoker),
                        batch_max: limits.event_batch,
                        batch_min: limits.event_batch_min,
                        wait_max: limits.event_wait,
                    };
                    pumps.spawn(reader.run());
                }
            }
            Trigger::Http(_) | Trigger::Timer(_) => {}
        }
    }
    Ok(Listeners { pumps })
}

type Pump = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn service_bus(
    brokers: &Arc<Brokers>,
    function: &Function,
    trigger: &ServiceBusTrigger,
    invoker: &Arc<dyn Invoke>,
    limits: &Limits,
) -> Result<Pump, BrokerError> {
    let entity = payload::place(&trigger.entity);
    let settings = brokers.settings(&entity).map_err(|_| {
        BrokerError::Invalid(format!("function `{}` listens to `{entity}`, which is not declared", function.name))
    })?;
    if settings.requires_session != trigger.sessions {
        let (has, says) = (settings.requires_session, trigger.sessions);
        return Err(BrokerError::Invalid(format!(
            "function `{}`: `{entity}` has requiresSession {has}, but the binding has isSessionsEnabled {says}",
            function.name
        )));
    }
    let receiver = Arc::new(queue_pump::Receiver {
        brokers: Arc::clone(brokers),
        function: function.clone(),
        trigger: trigger.clone(),
        entity,
        settings,
        invoker: Arc::clone(invoker),
        limits: limits.clone(),
    });
    Ok(if trigger.sessions { Box::pin(session_pump::run(receiver)) } else { Box::pin(queue_pump::run(receiver)) })
}

fn check_hub(brokers: &Brokers, function: &Function, trigger: &EventHubTrigger) -> Result<u32, BrokerError> {
    let hub = brokers.entities().hub(&trigger.hub).filter(|hub| hub.consumer_groups.contains(&trigger.consumer_group));
    hub.map(|hub| hub.partitions).ok_or_else(|| {
        BrokerError::Invalid(format!(
            "function `{}` listens to hub `{}`, consumer group `{}`, which is not declared",
            function.name, trigger.hub, trigger.consumer_group
        ))
    })
}
