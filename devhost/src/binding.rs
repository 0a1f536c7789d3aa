//! Reads the trigger of a function out of its bindings, and refuses by name what is not played.
use serde_json::Value;

use crate::{
    functions::{
        AuthLevel, Cardinality, DataType, Entity, EventHubTrigger, HttpTrigger, ServiceBusTrigger, TimerTrigger,
        Trigger,
    },
    host_json::{member, truth},
    timers::schedule::Schedule,
};

/// What is the matter with a function's bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingFault {
    /// The real host would not load it either.
    Wrong(String),
    /// The real host would run it; the dev host does not.
    Unplayed(String),
}

/// Methods that an `httpTrigger` may list.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

/// The trigger's binding name and the trigger.
///
/// # Errors
/// No trigger or several, a property that is missing or wrong, or a binding that is not played.
pub fn trigger(function: &str, bindings: &[Value]) -> Result<(String, Trigger), BindingFault> {
    let mut triggers = bindings.iter().filter(|it| type_of(it).to_ascii_lowercase().ends_with("trigger"));
    let binding = triggers
        .next()
        .ok_or_else(|| wrong("No trigger binding specified. A function must have a trigger input binding."))?;
    if triggers.next().is_some() {
        return Err(wrong("Multiple trigger bindings defined. A function can only have a single trigger binding."));
    }
    let trigger = match type_of(binding).to_ascii_lowercase().as_str() {
        "httptrigger" => Trigger::Http(http(function, binding)?),
        "timertrigger" => Trigger::Timer(timer(binding)?),
        "servicebustrigger" => Trigger::ServiceBus(service_bus(binding)?),
        "eventhubtrigger" => Trigger::EventHub(event_hub(binding)?),
        _ => return Err(unplayed(binding)),
    };
    refuse_other_bindings(bindings, binding, matches!(trigger, Trigger::Http(_)))?;
    Ok((text(binding, "name").unwrap_or_default(), trigger))
}

/// An HTTP function has its one `http` output, every other function nothing beside its trigger.
fn refuse_other_bindings(bindings: &[Value], trigger: &Value, is_http: bool) -> Result<(), BindingFault> {
    let mut responses = 0;
    for binding in bindings.iter().filter(|it| !std::ptr::eq(*it, trigger)) {
        let is_output = text(binding, "direction").is_some_and(|it| it.eq_ignore_ascii_case("out"));
        if !(is_http && is_output && type_of(binding).eq_ignore_ascii_case("http")) {
            return Err(unplayed(binding));
        }
        responses += 1;
    }
    if is_http && responses != 1 {
        let reason = "`httpTrigger` without exactly one `http` output is invoked as JSON, which is not played";
        return Err(BindingFault::Unplayed(reason.to_owned()));
    }
    Ok(())
}

fn http(function: &str, binding: &Value) -> Result<HttpTrigger, BindingFault> {
    let auth = match text(binding, "authLevel").unwrap_or_default().to_ascii_lowercase().as_str() {
        "anonymous" => AuthLevel::Anonymous,
        "" | "function" => AuthLevel::Function,
        "admin" => AuthLevel::Admin,
        other => return Err(wrong(format!("authLevel `{other}` is unknown."))),
    };
    let mut methods = Vec::new();
    for method in member(binding, &["methods"]).and_then(Value::as_array).into_iter().flatten() {
        let method = method.as_str().unwrap_or_default().to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            return Err(wrong(format!("HTTP method `{method}` is unknown.")));
        }
        methods.push(method);
    }
    let route = text(binding, "route").filter(|it| !it.is_empty()).unwrap_or_else(|| function.to_owned());
    Ok(HttpTrigger { route, methods, auth })
}

fn timer(binding: &Value) -> Result<TimerTrigger, BindingFault> {
    let schedule = text(binding, "schedule").ok_or_else(|| wrong("`schedule` is missing."))?;
    Schedule::parse(&schedule).map_err(|it| wrong(format!("{it}.")))?;
    Ok(TimerTrigger {
        schedule,
        run_on_startup: switch(binding, "runOnStartup", false)?,
        use_monitor: switch(binding, "useMonitor", true)?,
    })
}

fn service_bus(binding: &Value) -> Result<ServiceBusTrigger, BindingFault> {
    let (queue, topic, name) =
        (text(binding, "queueName"), text(binding, "topicName"), text(binding, "subscriptionName"));
    let entity = match (queue, topic, name) {
        (Some(queue), None, None) => Entity::Queue(queue),
        (None, Some(topic), Some(name)) => Entity::Subscription { topic, name },
        _ => return Err(wrong("Either `queueName` or both `topicName` and `subscriptionName` must be given.")),
    };
    if !switch(binding, "autoCompleteMessages", true)? || !switch(binding, "autoComplete", true)? {
        let reason =
            "`serviceBusTrigger` without autoCompleteMessages is not played: a handler cannot settle a message";
        return Err(BindingFault::Unplayed(reason.to_owned()));
    }
    let (cardinality, data_type) = shape(binding)?;
    Ok(ServiceBusTrigger { entity, sessions: switch(binding, "isSessionsEnabled", false)?, cardinality, data_type })
}

fn event_hub(binding: &Value) -> Result<EventHubTrigger, BindingFault> {
    let hub = text(binding, "eventHubName").ok_or_else(|| wrong("`eventHubName` is missing."))?;
    let consumer_group = text(binding, "consumerGroup").unwrap_or_else(|| "$Default".to_owned());
    let (cardinality, data_type) = shape(binding)?;
    Ok(EventHubTrigger { hub, consumer_group, cardinality, data_type })
}

/// Cardinality (one unless it says many) and data type.
fn shape(binding: &Value) -> Result<(Cardinality, DataType), BindingFault> {
    let cardinality = match text(binding, "cardinality").unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "one" => Cardinality::One,
        "many" => Cardinality::Many,
        other => return Err(wrong(format!("cardinality `{other}` is unknown."))),
    };
    let kind = type_of(binding);
    match (text(binding, "dataType").unwrap_or_default().to_ascii_lowercase().as_str(), cardinality) {
        ("string", _) | ("", Cardinality::One) => Ok((cardinality, DataType::Text)),
        ("binary", _) => Ok((cardinality, DataType::Binary)),
        ("", Cardinality::Many) => Err(BindingFault::Unplayed(format!(
            "`{kind}` with cardinality many and no dataType is not played: bodies would be re-written on the way; say \"dataType\": \"string\""
        ))),
        (other, _) => Err(BindingFault::Unplayed(format!("`{kind}` with dataType `{other}` is not played"))),
    }
}

fn switch(binding: &Value, name: &str, default: bool) -> Result<bool, BindingFault> {
    let Some(value) = member(binding, &[name]).filter(|it| !it.is_null()) else { return Ok(default) };
    truth(value).ok_or_else(|| wrong(format!("`{name}` is neither true nor false.")))
}

fn text(binding: &Value, name: &str) -> Option<String> {
    member(binding, &[name])?.as_str().map(str::to_owned)
}

fn type_of(binding: &Value) -> &str {
    member(binding, &["type"]).and_then(Value::as_str).unwrap_or_default()
}

fn unplayed(binding: &Value) -> BindingFault {
    let name = text(binding, "name").unwrap_or_default();
    let direction = text(binding, "direction").unwrap_or_else(|| "in".to_owned());
    BindingFault::Unplayed(format!(
        "binding `{name}` of type `{}` ({direction}) is not played by the dev host",
        type_of(binding)
    ))
}

fn wrong(reason: impl Into<String>) -> BindingFault {
    BindingFault::Wrong(reason.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_trigger_is_read() {
        let http = json!([{"type":"httpTrigger","name":"req","methods":["get","Post"]},{"type":"http","direction":"out","name":"res"}]);
        let Ok((_, Trigger::Http(read))) = trigger("orders", http.as_array().unwrap()) else { panic!("not HTTP") };
        assert_eq!(
            (read.route.as_str(), read.methods.join(","), read.auth),
            ("orders", "GET,POST".to_owned(), AuthLevel::Function)
        );
        let queue = json!([{"type":"serviceBusTrigger","name":"msg","queueName":"mail","isSessionsEnabled":true}]);
        let Ok((name, Trigger::ServiceBus(read))) = trigger("f", queue.as_array().unwrap()) else {
            panic!("not a queue")
        };
        assert_eq!((name.as_str(), read.entity, read.sessions), ("msg", Entity::Queue("mail".to_owned()), true));
        let hub = json!([{"type":"eventHubTrigger","name":"evs","eventHubName":"clicks","cardinality":"many","dataType":"string"}]);
        let Ok((_, Trigger::EventHub(read))) = trigger("f", hub.as_array().unwrap()) else { panic!("not a hub") };
        assert_eq!((read.consumer_group.as_str(), read.cardinality), ("$Default", Cardinality::Many));
    }

    #[test]
    fn what_is_not_played_is_named_with_its_type() {
        for (bindings, named) in [
            (json!([{"type":"cosmosDBTrigger","name":"docs"}]), "cosmosDBTrigger"),
            (json!([{"type":"queueTrigger","name":"item"}]), "queueTrigger"),
            (
                json!([{"type":"timerTrigger","name":"t","schedule":"0 * * * * *"},{"type":"queue","direction":"out","name":"out"}]),
                "queue",
            ),
            (json!([{"type":"httpTrigger","name":"req"}]), "httpTrigger"),
            (
                json!([{"type":"eventHubTrigger","name":"evs","eventHubName":"h","cardinality":"many"}]),
                "eventHubTrigger",
            ),
        ] {
            let fault = trigger("f", bindings.as_array().unwrap()).unwrap_err();
            assert!(matches!(&fault, BindingFault::Unplayed(it) if it.contains(named)), "{fault:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        for bindings in [
            json!([{"type":"http","direction":"out","name":"res"}]),
            json!([{"type":"timerTrigger","name":"a","schedule":"x"}]),
            json!([{"type":"timerTrigger","name":"a","schedule":"0 * * * * *"},{"type":"httpTrigger","name":"b"}]),
            json!([{"type":"serviceBusTrigger","name":"msg","topicName":"orders"}]),
        ] {
            assert!(matches!(trigger("f", bindings.as_array().unwrap()), Err(BindingFault::Wrong(_))), "{bindings}");
        }
    }
}
