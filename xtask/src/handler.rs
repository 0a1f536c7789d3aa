//! The handler as a command on this machine: `handler import …` over the same settings that the dev host
//! gives to the handler that serves.
use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use serde::Deserialize;

use crate::{child, failure::Failure, workspace};

/// Settings of one machine, kept out of the repository. Source: Azure Functions Core Tools,
/// "Local settings file"; only `Values` matters here.
#[derive(Deserialize)]
struct LocalSettings {
    #[serde(rename = "Values", default)]
    values: BTreeMap<String, String>,
}

/// `handler import`, on the store in `data`. Add the arguments and run it.
pub(crate) fn import(handler: &Path, data: &Path) -> Result<Command, Failure> {
    let mut command = child::command(handler)?;
    command.arg("import");
    for (name, value) in local_settings(workspace::root())? {
        if env::var_os(&name).is_none() {
            command.env(name, value);
        }
    }
    command.env("OFFPEAK_MODE", "local").env("OFFPEAK_DATA", data);
    Ok(command)
}

fn local_settings(root: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let path = root.join("local.settings.json");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    let settings: LocalSettings =
        serde_json::from_str(&text).map_err(|err| Failure::new(format!("{}: {err}", path.display())))?;
    Ok(settings.values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_this_machine_are_optional_and_must_be_readable() {
        let place = tempfile::tempdir().unwrap();
        assert!(local_settings(place.path()).unwrap().is_empty());
        let file = place.path().join("local.settings.json");
        fs::write(&file, r#"{"IsEncrypted":false,"Values":{"OFFPEAK_LOG":"debug"}}"#).unwrap();
        assert_eq!(local_settings(place.path()).unwrap()["OFFPEAK_LOG"], "debug");
        fs::write(&file, "{").unwrap();
        assert!(local_settings(place.path()).is_err());
    }
}
