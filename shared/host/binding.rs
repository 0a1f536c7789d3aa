//! What a room's `function.json` says, as far as the handler must know it. The file is the host's; this
//! reads the trigger and refuses what this handler does not serve, so that a room and its file agree.
use serde::Deserialize;

/// How a payload's bytes arrive: as JSON text in a string, or as base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    Base64,
}

/// One payload an invocation, or a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    One,
    Many,
}

/// What starts a function. `binding` is the payload's name in the envelope's `Data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    Http { route: &'static str },
    Messages { binding: &'static str, cardinality: Cardinality, encoding: Encoding },
    Events { binding: &'static str, cardinality: Cardinality, encoding: Encoding },
    Timer { binding: &'static str },
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    bindings: Vec<Binding<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding<'a> {
    r#type: &'a str,
    direction: &'a str,
    name: &'a str,
    route: Option<&'a str>,
    #[serde(default)]
    methods: Option<Vec<&'a str>>,
    cardinality: Option<&'a str>,
    data_type: Option<&'a str>,
}

/// The trigger of the function `name`, read from the text of its `function.json`.
///
/// # Errors
/// What is wrong with the file, in words.
pub(super) fn trigger(name: &'static str, text: &'static str) -> Result<Trigger, String> {
    let File { bindings } = serde_json::from_str(text).map_err(|err| format!("function.json cannot be read: {err}"))?;
    let mut triggers = bindings.iter().filter(|it| it.r#type.to_ascii_lowercase().ends_with("trigger"));
    let (Some(trigger), None) = (triggers.next(), triggers.next()) else {
        return Err("function.json must have exactly one trigger".to_owned());
    };
    if trigger.direction != "in" {
        return Err(format!("the trigger {:?} must have direction \"in\"", trigger.name));
    }
    let http = trigger.r#type == "httpTrigger";
    // Any other binding beside an HTTP trigger makes the host wrap the request; any output of another
    // function cannot set what our messages need. Both are refused.
    let output = bindings.iter().filter(|it| it.r#type == "http" && it.direction == "out").count();
    let expected = if http { (2, 1) } else { (1, 0) };
    if (bindings.len(), output) != expected {
        return Err("an HTTP function has an httpTrigger and an http output, any other its trigger alone".to_owned());
    }
    match trigger.r#type {
        "httpTrigger" if trigger.methods.is_some() => {
            Err("leave methods out: the handler itself answers 405 and OPTIONS".to_owned())
        }
        "httpTrigger" => Ok(Trigger::Http { route: trigger.route.unwrap_or(name) }),
        "timerTrigger" => Ok(Trigger::Timer { binding: trigger.name }),
        "serviceBusTrigger" => {
            let (cardinality, encoding) = trigger.payload()?;
            Ok(Trigger::Messages { binding: trigger.name, cardinality, encoding })
        }
        "eventHubTrigger" => {
            let (cardinality, encoding) = trigger.payload()?;
            Ok(Trigger::Events { binding: trigger.name, cardinality, encoding })
        }
        other => Err(format!("the handler does not know the binding type {other:?}")),
    }
}

impl Binding<'_> {
    fn payload(&self) -> Result<(Cardinality, Encoding), String> {
        let cardinality = match self.cardinality {
            None | Some("one") => Cardinality::One,
            Some("many") => Cardinality::Many,
            Some(other) => return Err(format!("cardinality is one or many, not {other:?}")),
        };
        match (self.data_type, cardinality) {
            (Some("string"), _) | (None, Cardinality::One) => Ok((cardinality, Encoding::Text)),
            (Some("binary"), _) => Ok((cardinality, Encoding::Base64)),
            // Without it the host parses each body, and one that is not JSON fails the batch unseen.
            (None, Cardinality::Many) => Err("cardinality many needs dataType string or binary".to_owned()),
            (Some(other), _) => Err(format!("dataType is string or binary, not {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_file_is_read_or_refused_with_its_reason() {
        let check = |text, expected: Result<Trigger, &str>| match (trigger("room", text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(fault), Err(part)) => assert!(fault.contains(part), "{fault}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        };
        let http = r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req"},
            {"type":"http","direction":"out","name":"res"}]}"#;
        check(http, Ok(Trigger::Http { route: "room" }));
        let many = r#"{"bindings":[{"type":"eventHubTrigger","direction":"in","name":"evs","cardinality":"many",
            "dataType":"string","eventHubName":"clicks","connection":"Eh"}]}"#;
        let (cardinality, encoding) = (Cardinality::Many, Encoding::Text);
        check(many, Ok(Trigger::Events { binding: "evs", cardinality, encoding }));
        let bare = r#"{"bindings":[{"type":"serviceBusTrigger","direction":"in","name":"msgs","cardinality":"many"}]}"#;
        check(bare, Err("needs dataType"));
        check("{", Err("cannot be read"));
        check(r#"{"bindings":[]}"#, Err("exactly one trigger"));
        let methods = r#"{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","methods":["get"]},
            {"type":"http","direction":"out","name":"res"}]}"#;
        check(methods, Err("leave methods out"));
        let output = r#"{"bindings":[{"type":"timerTrigger","direction":"in","name":"t"},
            {"type":"serviceBus","direction":"out","name":"out"}]}"#;
        check(output, Err("its trigger alone"));
        let blob = r#"{"bindings":[{"type":"blobTrigger","direction":"in","name":"b"}]}"#;
        check(blob, Err("blobTrigger"));
    }
}
