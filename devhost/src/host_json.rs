//! `host.json`, with the app settings `AzureFunctionsJobHost__a__b` laid over it.
//!
//! Keys are compared without regard to case and values may be text where a number or a switch is meant, because that is how
//! overriding settings arrive.
use std::{path::Path, time::Duration};

use serde_json::{Map, Value};

use crate::{
    functions::{RetryDelay, RetryPolicy},
    settings::Settings,
    time_span,
};

/// The prefix of settings that override `host.json`.
const OVERRIDE_PREFIX: &str = "AzureFunctionsJobHost__";
/// How long the handler may take until it answers, unless `customHandler.initializationTimeout` says otherwise.
const INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(30);
/// The plan's default for `functionTimeout`.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What the dev host needs of `host.json`.
#[derive(Debug, Clone)]
pub struct HostJson {
    pub handler: HandlerDescription,
    pub proxying: bool,
    pub forwarding: bool,
    /// A port pinned by `customHandler.port`.
    pub port: Option<u16>,
    pub initialization_timeout: Duration,
    /// `None` when unbounded (−1).
    pub function_timeout: Option<Duration>,
    /// Without slashes at its ends; may be empty.
    pub route_prefix: String,
    pub retry: Option<RetryPolicy>,
    /// The `extensions` section, for the brokers.
    pub extensions: Value,
    /// `{"id","version"}` of the extension bundle, shown in the status.
    pub bundle: Value,
}

/// How the handler is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandlerDescription {
    pub executable: String,
    pub worker_path: String,
    pub arguments: Vec<String>,
    pub worker_arguments: Vec<String>,
    pub working_directory: String,
    pub worker_directory: String,
}

/// Why `host.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum HostJsonError {
    #[error("{path} could not be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} is not JSON")]
    NotJson { path: String, source: serde_json::Error },
    #[error("{path} is not a JSON object with \"version\": \"2.0\"")]
    Version { path: String },
    #[error("host.json has no customHandler.description; only custom handlers are played")]
    NoDescription,
    #[error("host.json names no customHandler.description.defaultExecutablePath")]
    NoExecutable,
    #[error("host.json: `customHandler.http.routes` is not played; write a function.json for each function")]
    Routes,
    #[error("host.json: `{key}` holds {value}, which cannot be read")]
    Value { key: String, value: String },
    #[error("host.json: {0}")]
    Retry(String),
}

impl HostJson {
    /// Reads `host.json` in `stage`.
    ///
    /// # Errors
    /// The file is absent or not JSON, has no custom handler, or holds a value that cannot be read.
    pub fn read(stage: &Path, settings: &Settings) -> Result<Self, HostJsonError> {
        let file = stage.join("host.json");
        let path = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|source| HostJsonError::Unreadable { path: path.clone(), source })?;
        let content: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|source| HostJsonError::NotJson { path: path.clone(), source })?;
        if member(&content, &["version"]).and_then(Value::as_str) != Some("2.0") {
            return Err(HostJsonError::Version { path });
        }
        Self::parse(overridden(content, settings))
    }

    fn parse(content: Value) -> Result<Self, HostJsonError> {
        let description = member(&content, &["customHandler", "description"]).filter(|it| it.is_object());
        let description = description.ok_or(HostJsonError::NoDescription)?;
        if member(&content, &["customHandler", "http", "routes"]).is_some() {
            return Err(HostJsonError::Routes);
        }
        let handler = HandlerDescription {
            executable: text_of(description, "defaultExecutablePath"),
            worker_path: text_of(description, "defaultWorkerPath"),
            arguments: list_of(description, "arguments")?,
            worker_arguments: list_of(description, "workerArguments")?,
            working_directory: text_of(description, "workingDirectory"),
            worker_directory: text_of(description, "workerDirectory"),
        };
        if handler.executable.is_empty() {
            return Err(HostJsonError::NoExecutable);
        }
        let retry = member(&content, &["retry"]).filter(|it| !it.is_null()).map(retry_policy).transpose();
        Ok(Self {
            handler,
            proxying: switch(&content, &["customHandler", "enableProxyingHttpRequest"])?,
            forwarding: switch(&content, &["customHandler", "enableForwardingHttpRequest"])?,
            port: port(&content)?,
            initialization_timeout: duration(&content, &["customHandler", "initializationTimeout"])?
                .unwrap_or(INITIALIZATION_TIMEOUT),
            function_timeout: function_timeout(&content)?,
            route_prefix: member(&content, &["extensions", "http", "routePrefix"])
                .and_then(Value::as_str)
                .unwrap_or("api")
                .trim_matches('/')
                .to_owned(),
            retry: retry.map_err(HostJsonError::Retry)?,
            extensions: member(&content, &["extensions"]).cloned().unwrap_or(Value::Null),
            bundle: member(&content, &["extensionBundle"]).cloned().unwrap_or(Value::Null),
        })
    }
}

/// Reads a `retry` section of `host.json` or `function.json`.
///
/// # Errors
/// A sentence that names what is missing or wrong.
pub fn retry_policy(section: &Value) -> Result<RetryPolicy, String> {
    let missing = |name: &str| format!("the retry policy has no `{name}`");
    let count = member(section, &["maxRetryCount"]).and_then(number).ok_or_else(|| missing("maxRetryCount"))?;
    let max_retry_count = match count {
        -1 => None,
        _ => Some(
            u32::try_from(count).map_err(|_| format!("maxRetryCount {count} of the retry policy is not allowed"))?,
        ),
    };
    let span = |name: &str| {
        let text = member(section, &[name]).and_then(Value::as_str).ok_or_else(|| missing(name))?;
        time_span::parse(text).ok_or_else(|| format!("`{name}` of the retry policy is not a time span: {text}"))
    };
    let strategy = member(section, &["strategy"]).and_then(Value::as_str).ok_or_else(|| missing("strategy"))?;
    let delay = match strategy.to_ascii_lowercase().as_str() {
        "fixeddelay" => RetryDelay::Fixed(span("delayInterval")?),
        "exponentialbackoff" => {
            let (minimum, maximum) = (span("minimumInterval")?, span("maximumInterval")?);
            if minimum > maximum {
                return Err("minimumInterval of the retry policy is above maximumInterval".to_owned());
            }
            RetryDelay::Exponential { minimum, maximum }
        }
        _ => return Err(format!("retry strategy `{strategy}` is unknown")),
    };
    Ok(RetryPolicy { max_retry_count, delay })
}

/// The member at `path`, keys compared without regard to case.
#[must_use]
pub fn member<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| {
        let object = value.as_object()?;
        object.get(*key).or_else(|| object.iter().find(|(have, _)| have.eq_ignore_ascii_case(key)).map(|(_, it)| it))
    })
}

/// A whole number, also as text.
#[must_use]
pub fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A switch, also as text.
#[must_use]
pub fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.trim().to_ascii_lowercase().parse().ok())
}

fn switch(content: &Value, path: &[&str]) -> Result<bool, HostJsonError> {
    let Some(value) = member(content, path).filter(|it| !it.is_null()) else { return Ok(false) };
    truth(value).ok_or_else(|| unreadable(path, value))
}

fn duration(content: &Value, path: &[&str]) -> Result<Option<Duration>, HostJsonError> {
    let Some(value) = member(content, path).filter(|it| !it.is_null()) else { return Ok(None) };
    value.as_str().and_then(time_span::parse).map(Some).ok_or_else(|| unreadable(path, value))
}

fn function_timeout(content: &Value) -> Result<Option<Duration>, HostJsonError> {
    let unbounded = |it: &Value| number(it) == Some(-1) || it.as_str() == Some("-00:00:00.0010000");
    match member(content, &["functionTimeout"]) {
        Some(value) if unbounded(value) => Ok(None),
        _ => Ok(Some(duration(content, &["functionTimeout"])?.unwrap_or(FUNCTION_TIMEOUT))),
    }
}

fn port(content: &Value) -> Result<Option<u16>, HostJsonError> {
    let path = ["customHandler", "port"];
    let Some(value) = member(content, &path).filter(|it| !it.is_null()) else { return Ok(None) };
    let port = number(value).and_then(|it| u16::try_from(it).ok());
    port.map(Some).ok_or_else(|| unreadable(&path, value))
}

fn unreadable(path: &[&str], value: &Value) -> HostJsonError {
    HostJsonError::Value { key: path.join("."), value: value.to_string() }
}

fn text_of(section: &Value, name: &str) -> String {
    member(section, &[name]).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A list of texts; as an overriding setting it is the text of a JSON array.
fn list_of(section: &Value, name: &str) -> Result<Vec<String>, HostJsonError> {
    let Some(value) = member(section, &[name]).filter(|it| !it.is_null()) else { return Ok(Vec::new()) };
    let parsed = value.as_str().map(serde_json::from_str::<Value>);
    let list = match &parsed {
        Some(parsed) => parsed.as_ref().ok(),
        None => Some(value),
    };
    let texts =
        list.and_then(Value::as_array).and_then(|list| list.iter().map(|it| it.as_str().map(str::to_owned)).collect());
    texts.ok_or_else(|| unreadable(&["customHandler", "description", name], value))
}

fn overridden(mut content: Value, settings: &Settings) -> Value {
    for (name, value) in settings.iter() {
        let prefix = name.get(..OVERRIDE_PREFIX.len());
        if prefix.is_some_and(|it| it.eq_ignore_ascii_case(OVERRIDE_PREFIX)) {
            let path: Vec<&str> = name[OVERRIDE_PREFIX.len()..].split("__").collect();
            lay_over(&mut content, &path, value);
        }
    }
    content
}

fn lay_over(target: &mut Value, path: &[&str], value: &str) {
    let Some((key, rest)) = path.split_first() else {
        *target = Value::String(value.to_owned());
        return;
    };
    if let (Value::Array(list), Ok(index)) = (&mut *target, key.parse::<usize>()) {
        if let Some(element) = list.get_mut(index) {
            lay_over(element, rest, value);
        }
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(members) = target {
        let have = members.keys().find(|have| have.eq_ignore_ascii_case(key)).cloned();
        lay_over(members.entry(have.unwrap_or_else(|| (*key).to_owned())).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(content: Value, settings: &[(&str, &str)]) -> Result<HostJson, HostJsonError> {
        HostJson::parse(overridden(content, &Settings::of(settings)))
    }

    #[test]
    fn the_documented_defaults_hold() {
        let host = parse(json!({"customHandler":{"description":{"defaultExecutablePath":"handler"}}}), &[]).unwrap();
        assert_eq!(host.route_prefix, "api");
        assert_eq!(host.initialization_timeout, Duration::from_secs(30));
        assert_eq!(host.function_timeout, Some(Duration::from_secs(1800)));
        assert!(!host.proxying && !host.forwarding);
    }

    #[test]
    fn settings_override_the_file() {
        let file =
            json!({"functionTimeout":"00:05:00","customHandler":{"description":{"defaultExecutablePath":"handler"}}});
        let host = parse(
            file,
            &[
                ("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath", "target/debug/handler"),
                ("AzureFunctionsJobHost__customHandler__description__arguments", r#"["--a","b"]"#),
                ("AzureFunctionsJobHost__customhandler__initializationTimeout", "00:00:01"),
                ("AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest", "True"),
                ("AzureFunctionsJobHost__functionTimeout", "-1"),
            ],
        )
        .unwrap();
        assert_eq!(host.handler.executable, "target/debug/handler");
        assert_eq!(host.handler.arguments, ["--a", "b"]);
        assert_eq!(host.initialization_timeout, Duration::from_secs(1));
        assert!(host.proxying);
        assert_eq!(host.function_timeout, None);
    }

    #[test]
    fn what_cannot_be_played_is_refused_by_name() {
        assert!(matches!(parse(json!({"customHandler":{}}), &[]), Err(HostJsonError::NoDescription)));
        let no_executable = json!({"customHandler":{"description":{"defaultExecutablePath":""}}});
        assert!(matches!(parse(no_executable, &[]), Err(HostJsonError::NoExecutable)));
        let wrong = json!({"functionTimeout":"soon","customHandler":{"description":{"defaultExecutablePath":"h"}}});
        assert!(parse(wrong, &[]).unwrap_err().to_string().contains("functionTimeout"));
    }

    #[test]
    fn retry_policies_are_read_or_refused() {
        let fixed =
            retry_policy(&json!({"strategy":"fixedDelay","maxRetryCount":3,"delayInterval":"00:00:05"})).unwrap();
        assert_eq!(fixed.delay, RetryDelay::Fixed(Duration::from_secs(5)));
        let for_ever = json!({"strategy":"exponentialBackoff","maxRetryCount":-1,"minimumInterval":"00:00:02","maximumInterval":"00:01:00"});
        assert_eq!(retry_policy(&for_ever).unwrap().max_retry_count, None);
        let lacking = retry_policy(&json!({"strategy":"fixedDelay","maxRetryCount":3})).unwrap_err();
        assert_eq!(lacking, "the retry policy has no `delayInterval`");
    }
}
