//! What `/admin/host/status` tells: how long the host has run and what is wrong with it.
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};

use crate::wire::HOST_VERSION;

/// Most errors that are kept; later ones are only logged.
const ERRORS_MAX: usize = 100;

/// The state of the host.
#[derive(Debug)]
pub struct HostStatus {
    instance: String,
    started: Instant,
    bundle: Value,
    errors: Mutex<Vec<String>>,
}

impl HostStatus {
    #[must_use]
    pub fn new(bundle: Value) -> Self {
        let instance = uuid::Uuid::new_v4().simple().to_string();
        Self { instance, started: Instant::now(), bundle, errors: Mutex::new(Vec::new()) }
    }

    /// Logs an error and shows it in the status.
    pub fn report(&self, error: String) {
        tracing::error!("{error}");
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < ERRORS_MAX {
            errors.push(error);
        }
    }

    /// The page's content.
    #[must_use]
    pub fn content(&self) -> Value {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut content = json!({
            "id": "devhost",
            "state": "Running",
            "version": HOST_VERSION,
            "versionDetails": HOST_VERSION,
            "platformVersion": "",
            "instanceId": self.instance,
            "computerName": "devhost",
            "processUptime": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "functionAppContentEditingState": "NotAllowed",
        });
        if let Value::Object(members) = &mut content {
            if !errors.is_empty() {
                members.insert("errors".to_owned(), json!(errors));
            }
            if !self.bundle.is_null() {
                members.insert("extensionBundle".to_owned(), self.bundle.clone());
            }
        }
        content
    }
}
