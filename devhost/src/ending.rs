//! How and why the dev host ends, told to every part of it at once.
use tokio::sync::watch;

/// Why the dev host ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By a signal, or because it could not start.
    Asked,
    /// The handler crashed too often; the platform is to start the host anew.
    GaveUp,
}

/// The exit code for [`Ending::GaveUp`], by which the platform tells it from a fault of its own.
pub const GAVE_UP_EXIT_CODE: u8 = 86;

/// A signal that is given once and stays given.
#[derive(Debug, Clone)]
pub struct EndSignal(watch::Sender<Option<Ending>>);

impl Default for EndSignal {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl EndSignal {
    /// Ends the dev host; the first reason given stays.
    pub fn end(&self, ending: Ending) {
        self.0.send_if_modified(|have| {
            let is_first = have.is_none();
            have.get_or_insert(ending);
            is_first
        });
    }

    /// Whether the end has been signalled.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns once the end is signalled.
    pub async fn given(&self) -> Ending {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(ending) => ending.unwrap_or(Ending::Asked),
            Err(_) => Ending::Asked,
        }
    }
}
