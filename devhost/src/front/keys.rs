//! Keys of the functions, asked for only with `--auth`.
//!
//! Made once and kept in the data folder, so a caller's key survives restarts. The header is looked at first, and a wrong
//! header is not rescued by a right query.
use std::{collections::BTreeMap, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::functions::{AuthLevel, Function};

/// The file in the data folder, readable by its owner only.
pub const KEYS_FILE: &str = "keys.json";
const KEY_HEADER: &str = "x-functions-key";

/// All keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Opens everything.
    master: String,
    /// Opens every function of level `function`.
    host: String,
    /// Opens its own function of level `function`.
    functions: BTreeMap<String, String>,
}

/// Why the keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the key file could not be read or written")]
    File(#[from] std::io::Error),
    #[error("the key file does not hold keys")]
    Content(#[from] serde_json::Error),
}

impl Keys {
    /// Reads the keys of the data folder and adds those that new functions need.
    ///
    /// # Errors
    /// The file cannot be read, written or understood.
    pub fn open(data: &Path, functions: &[Function]) -> Result<Self, KeysError> {
        let file = data.join(KEYS_FILE);
        let stored = match std::fs::read(&file) {
            Ok(content) => Some(serde_json::from_slice::<Self>(&content)?),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => None,
            Err(fault) => return Err(fault.into()),
        };
        let mut keys =
            stored.clone().unwrap_or_else(|| Self { master: new_key(), host: new_key(), functions: BTreeMap::new() });
        for function in functions {
            keys.functions.entry(function.name.clone()).or_insert_with(new_key);
        }
        if stored.as_ref() != Some(&keys) {
            let fresh = data.join(format!("{KEYS_FILE}.new"));
            let mut writer =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            writer.write_all(&serde_json::to_vec_pretty(&keys)?)?;
            writer.sync_all()?;
            std::fs::rename(&fresh, &file)?;
        }
        Ok(keys)
    }

    /// Whether a request may reach `function` of level `auth`.
    #[must_use]
    pub fn open_function(&self, function: &str, auth: AuthLevel, headers: &HeaderMap, uri: &Uri) -> bool {
        let given = given_key(headers, uri);
        let is = |key: &str| given.as_deref().is_some_and(|it| same(it, key));
        match auth {
            AuthLevel::Anonymous => true,
            AuthLevel::Function => {
                is(&self.master) || is(&self.host) || self.functions.get(function).is_some_and(|key| is(key))
            }
            AuthLevel::Admin => is(&self.master),
        }
    }

    /// Whether a request may reach the admin pages.
    #[must_use]
    pub fn open_admin(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        self.open_function("", AuthLevel::Admin, headers, uri)
    }
}

fn given_key(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(header) = headers.get(KEY_HEADER) {
        return header.to_str().ok().map(str::to_owned);
    }
    let pairs = uri.query()?.split('&');
    let code = pairs.filter_map(|it| it.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("code"))?.1;
    percent_decode_str(&code.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Compares without telling by its duration how much was right.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

fn new_key() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
