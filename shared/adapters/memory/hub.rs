//! Events in this process's memory: for tests of operations.
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::shared::ports::hub::{Hub, HubError, check_send};

/// One event that was sent: its hub, its key and its text.
pub type Sent = (String, String, String);

/// Keeps what it is sent until it is asked.
#[derive(Debug, Default)]
pub struct MemoryHub(Mutex<Vec<Sent>>);

impl MemoryHub {
    /// All that was sent since this was asked the last time.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Hub for MemoryHub {
    async fn send(&self, hub: &str, key: &str, events: &[String]) -> Result<(), HubError> {
        check_send(hub, key, events)?;
        let sent = events.iter().map(|it| (hub.to_owned(), key.to_owned(), it.clone()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
        Ok(())
    }
}
