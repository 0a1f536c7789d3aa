//! App settings: the environment, and under it the `Values` of a `local.settings.json`.
//!
//! A setting that is already in the environment wins. All of them are inherited by the handler, as on the platform.
use std::{collections::BTreeMap, path::Path};

/// Largest `local.settings.json` that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Settings by name.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

/// Why `local.settings.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("settings file {path} could not be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error("settings file {path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: String },
    #[error("settings file {path} is not JSON")]
    NotJson { path: String, source: serde_json::Error },
    #[error("settings file {path} is encrypted; decrypt it first")]
    Encrypted { path: String },
    #[error("setting `{name}` in {path} is not a string")]
    NotText { path: String, name: String },
}

impl Settings {
    /// The environment, completed by the `Values` of `file`.
    ///
    /// # Errors
    /// The file is absent, not JSON, encrypted, or holds a value that is not a string.
    pub fn read(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some(file) = file {
            settings.values = local_values(file)?;
        }
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                settings.values.insert(name, value);
            }
        }
        Ok(settings)
    }

    /// Settings given by hand.
    #[must_use]
    pub fn of(values: &[(&str, &str)]) -> Self {
        Self { values: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    /// Sets `name` unless it is already there.
    pub fn set_default(&mut self, name: &str, value: &str) {
        self.values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// The setting of that name; names are compared without regard to case where no exact one exists.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .or_else(|| self.values.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value))
            .map(String::as_str)
    }

    /// All settings in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces every `%NAME%` in `text` by the setting of that name.
    ///
    /// # Errors
    /// The name of the first setting that does not exist.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        expand(text, |name| self.get(name).map(str::to_owned).ok_or_else(|| name.to_owned()))
    }

    /// Replaces every `%NAME%` in `text`; a name without a setting becomes empty, as in handler arguments.
    #[must_use]
    pub fn expand_or_remove(&self, text: &str, extra: &[(String, String)]) -> String {
        let found = expand(text, |name| {
            let own = extra.iter().find(|(have, _)| have == name).map(|(_, value)| value.clone());
            Ok::<_, std::convert::Infallible>(own.or_else(|| self.get(name).map(str::to_owned)).unwrap_or_default())
        });
        match found {
            Ok(text) => text,
            Err(never) => match never {},
        }
    }
}

fn expand<E>(text: &str, mut value_of: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        let after = &rest[start + 1..];
        let Some(end) = after.find('%') else { break };
        expanded.push_str(&rest[..start]);
        expanded.push_str(&value_of(&after[..end])?);
        rest = &after[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn local_values(file: &Path) -> Result<BTreeMap<String, String>, SettingsError> {
    let path = file.display().to_string();
    let unreadable = |source| SettingsError::Unreadable { path: path.clone(), source };
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(SettingsError::TooLarge { path });
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let content: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|source| SettingsError::NotJson { path: path.clone(), source })?;
    if content.get("IsEncrypted").and_then(serde_json::Value::as_bool) == Some(true) {
        return Err(SettingsError::Encrypted { path });
    }
    let mut values = BTreeMap::new();
    for (name, value) in content.get("Values").and_then(serde_json::Value::as_object).into_iter().flatten() {
        let value =
            value.as_str().ok_or_else(|| SettingsError::NotText { path: path.clone(), name: name.clone() })?.to_owned();
        values.insert(name.clone(), value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_between_percent_signs_are_replaced() {
        let settings = Settings::of(&[("OrdersQueue", "orders"), ("N", "5")]);
        assert_eq!(settings.expand("%OrdersQueue%-%n%").unwrap(), "orders-5");
        assert_eq!(settings.expand("100%").unwrap(), "100%");
        assert_eq!(settings.expand("a%Missing%b").unwrap_err(), "Missing");
        assert_eq!(settings.expand_or_remove("%X%%PORT%", &[("PORT".to_owned(), "7".to_owned())]), "7");
    }

    #[test]
    fn values_of_the_file_are_read_and_faults_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("local.settings.json");
        std::fs::write(&file, r#"{"IsEncrypted":false,"Values":{"A":"1"},"Host":{"LocalHttpPort":7071}}"#).unwrap();
        assert_eq!(Settings::read(Some(&file)).unwrap().get("a"), Some("1"));
        std::fs::write(&file, r#"{"Values":{"A":1}}"#).unwrap();
        assert!(Settings::read(Some(&file)).unwrap_err().to_string().contains("setting `A`"));
        std::fs::write(&file, r#"{"IsEncrypted":true}"#).unwrap();
        assert!(matches!(Settings::read(Some(&file)), Err(SettingsError::Encrypted { .. })));
    }
}
