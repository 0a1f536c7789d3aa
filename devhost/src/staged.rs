//! Loads the staged functions: each direct child of the stage that holds a `function.json`.
//!
//! A function that is wrong is skipped and named while the others load, as on the platform. A function that is right but holds
//! a binding that is not played here is told apart: half a function would be worse than none, so the caller decides whether
//! to start without it.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    binding::{self, BindingFault},
    front::template::Template,
    functions::{Function, HttpTrigger, Trigger},
    host_json::{HostJson, member, retry_policy, truth},
    settings::Settings,
};

/// Largest `function.json`, and most functions, that are read.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const FUNCTIONS_MAX: usize = 1_000;

/// What was found in the stage.
#[derive(Debug, Default)]
pub struct Staged {
    /// Sorted by name without regard to case: the order in which routes are tried.
    pub functions: Vec<LoadedFunction>,
    /// Functions that are wrong; they are skipped.
    pub errors: Vec<LoadError>,
    /// Functions with a binding that is not played.
    pub unplayed: Vec<LoadError>,
}

/// A function and the file it came from.
#[derive(Debug)]
pub struct LoadedFunction {
    pub function: Function,
    /// The content of `function.json`, for the admin pages.
    pub config: Value,
}

/// Why a function was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The '{function}' function is in error: {reason}")]
pub struct LoadError {
    pub function: String,
    pub reason: String,
}

/// Why nothing could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("the stage {path} could not be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the stage {path} holds more than {FUNCTIONS_MAX} functions")]
    TooMany { path: String },
}

impl Staged {
    /// Reads every function of `stage`.
    ///
    /// # Errors
    /// The folder itself cannot be read. Faults of single functions are listed, not returned.
    pub fn read(stage: &Path, host: &HostJson, settings: &Settings) -> Result<Self, StageError> {
        let mut staged = Self::default();
        for folder in function_folders(stage)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match load(&folder, &name, host, settings) {
                Ok(loaded) => staged.functions.push(loaded),
                Err(fault) => staged.report(name, fault),
            }
        }
        staged.refuse_conflicting_routes();
        Ok(staged)
    }

    fn report(&mut self, function: String, fault: BindingFault) {
        match fault {
            BindingFault::Wrong(reason) => self.errors.push(LoadError { function, reason }),
            BindingFault::Unplayed(reason) => self.unplayed.push(LoadError { function, reason }),
        }
    }

    /// Of two functions with the same route text and a method in common the later one is refused.
    fn refuse_conflicting_routes(&mut self) {
        let mut kept: Vec<LoadedFunction> = Vec::new();
        for loaded in std::mem::take(&mut self.functions) {
            let rival = match &loaded.function.trigger {
                Trigger::Http(http) => kept.iter().find(|it| conflicts(&it.function.trigger, http)),
                _ => None,
            };
            match rival {
                Some(rival) => {
                    let other = &rival.function.name;
                    let reason = format!("The route specified conflicts with the route defined by function '{other}'.");
                    self.errors.push(LoadError { function: loaded.function.name, reason });
                }
                None => kept.push(loaded),
            }
        }
        self.functions = kept;
    }
}

fn conflicts(trigger: &Trigger, http: &HttpTrigger) -> bool {
    let Trigger::Http(other) = trigger else { return false };
    let overlap =
        other.methods.is_empty() || http.methods.is_empty() || other.methods.iter().any(|it| http.methods.contains(it));
    overlap && other.route.trim_matches('/').eq_ignore_ascii_case(http.route.trim_matches('/'))
}

/// Direct children with a `function.json`, in the order of their names without regard to case.
fn function_folders(stage: &Path) -> Result<Vec<PathBuf>, StageError> {
    let path = stage.display().to_string();
    let unreadable = |source| StageError::Unreadable { path: path.clone(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(stage).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if folder.join("function.json").is_file() {
            folders.push(folder);
        }
    }
    if folders.len() > FUNCTIONS_MAX {
        return Err(StageError::TooMany { path });
    }
    folders.sort_by_key(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name.to_uppercase(), name)
    });
    Ok(folders)
}

fn load(folder: &Path, name: &str, host: &HostJson, settings: &Settings) -> Result<LoadedFunction, BindingFault> {
    if !is_function_name(name) {
        return Err(wrong(format!("'{name}' is not a valid function name.")));
    }
    let config = read_config(&folder.join("function.json"))?;
    if let Some(script) = member(&config, &["scriptFile"]).and_then(Value::as_str)
        && !script.is_empty()
        && !folder.join(script).is_file()
    {
        return Err(wrong(
            "Invalid script file name configuration. The 'scriptFile' property is set to a file that does not exist."
                .to_owned(),
        ));
    }
    let bindings = resolved_bindings(&config, settings)?;
    check_names(&bindings)?;
    let disabled = is_disabled(name, &config, settings);
    let (binding, trigger) = binding::trigger(name, &bindings)?;
    if let Trigger::Http(http) = &trigger {
        check_route(&http.route, host)?;
    }
    let own_retry = member(&config, &["retry"]).filter(|it| !it.is_null());
    let own_retry = own_retry.map(retry_policy).transpose().map_err(wrong)?;
    let may_retry = matches!(trigger, Trigger::Timer(_) | Trigger::EventHub(_));
    if own_retry.is_some() && !may_retry {
        tracing::warn!("Function `{name}`: retry policies are for timers and Event Hubs; this one is not applied.");
    }
    let retry = own_retry.or_else(|| host.retry.clone()).filter(|_| may_retry);
    Ok(LoadedFunction { function: Function { name: name.to_owned(), binding, trigger, disabled, retry }, config })
}

fn read_config(file: &Path) -> Result<Value, BindingFault> {
    let unreadable = |it: std::io::Error| wrong(format!("function.json could not be read: {it}"));
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(wrong(format!("function.json is larger than {FILE_BYTES_MAX} bytes.")));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|it| wrong(format!("Unable to parse function.json: {it}")))
}

/// The bindings with `%NAME%` replaced in every text property.
fn resolved_bindings(config: &Value, settings: &Settings) -> Result<Vec<Value>, BindingFault> {
    let bindings = member(config, &["bindings"]).and_then(Value::as_array).filter(|it| !it.is_empty());
    let bindings = bindings.ok_or_else(|| wrong("At least one binding must be declared.".to_owned()))?;
    bindings.iter().map(|it| resolve(it, settings)).collect()
}

fn resolve(value: &Value, settings: &Settings) -> Result<Value, BindingFault> {
    Ok(match value {
        Value::String(text) => Value::String(
            settings.expand(text).map_err(|name| wrong(format!("'%{name}%' does not resolve to a value.")))?,
        ),
        Value::Array(list) => Value::Array(list.iter().map(|it| resolve(it, settings)).collect::<Result<_, _>>()?),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve(value, settings)?)))
                .collect::<Result<_, BindingFault>>()?,
        ),
        other => other.clone(),
    })
}

fn check_names(bindings: &[Value]) -> Result<(), BindingFault> {
    let mut names = BTreeSet::new();
    for binding in bindings {
        let name = member(binding, &["name"]).and_then(Value::as_str).unwrap_or_default();
        if !is_binding_name(name) {
            return Err(wrong(format!(
                "The binding name {name} is invalid. Please assign a valid name to the binding."
            )));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(wrong(format!(
                "Multiple bindings with name '{name}' discovered. Binding names must be unique."
            )));
        }
    }
    Ok(())
}

fn check_route(route: &str, host: &HostJson) -> Result<(), BindingFault> {
    let lower = route.trim_start_matches('/').to_ascii_lowercase();
    if lower.starts_with("admin") || lower.starts_with("runtime") {
        return Err(wrong("The specified route conflicts with one or more built in routes.".to_owned()));
    }
    Template::parse(&full_route(&host.route_prefix, route)).map_err(|it| wrong(format!("Route '{route}': {it}.")))?;
    if !host.proxying && !host.forwarding {
        let reason = "`httpTrigger` as a JSON invocation is not played; set customHandler.enableProxyingHttpRequest or \
                      enableForwardingHttpRequest in host.json";
        return Err(BindingFault::Unplayed(reason.to_owned()));
    }
    Ok(())
}

/// Prefix and route as one template.
#[must_use]
pub fn full_route(prefix: &str, route: &str) -> String {
    if prefix.is_empty() { route.to_owned() } else { format!("{prefix}/{route}") }
}

/// `disabled` in the file (a switch, or the name of a setting), or a setting named after the function.
fn is_disabled(name: &str, config: &Value, settings: &Settings) -> bool {
    let is_on = |text: &str| text == "1" || text.eq_ignore_ascii_case("true");
    let by_file = member(config, &["disabled"]).is_some_and(|value| match value.as_str() {
        Some(setting) => truth(value).unwrap_or_else(|| settings.get(setting).is_some_and(is_on)),
        None => truth(value).unwrap_or(false),
    });
    let dotted = settings.get(&format!("AzureWebJobs.{name}.Disabled"));
    let underscored = settings.get(&format!("AzureWebJobs_{name}_Disabled"));
    by_file || dotted.or(underscored).is_some_and(is_on)
}

fn is_function_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic())
        && name.len() <= 128
        && bytes.all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
        && !name.eq_ignore_ascii_case("host")
}

fn is_binding_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name == "$return"
        || bytes.next().is_some_and(|it| it.is_ascii_alphabetic())
            && name.len() <= 128
            && bytes.all(|it| it.is_ascii_alphanumeric())
}

fn wrong(reason: String) -> BindingFault {
    BindingFault::Wrong(reason)
}
