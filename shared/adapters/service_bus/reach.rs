//! Whether the namespace is there and lets the app send: a message to a queue that is not there, so none is left behind.
use async_trait::async_trait;
use azure_core::error::ErrorKind;

use super::ServiceBus;
use crate::shared::ports::reach::{Reach, Unreached};

/// No queue or topic is called so.
const NOWHERE: &str = "offpeak-check";

/// `{advice}`, with what was seen as its source.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct Explained {
    advice: &'static str,
    #[source]
    source: Unreached,
}

#[async_trait]
impl Reach for ServiceBus {
    async fn reach(&self) -> Result<(), Unreached> {
        let client = self.client(NOWHERE)?;
        let sending = tokio::time::timeout(self.patience, client.send_message("{}", None));
        let error = match sending.await {
            Ok(Ok(())) => return Err(format!("a queue {NOWHERE} is there and has taken a message").into()),
            Ok(Err(error)) => error,
            Err(slow) => return Err(explained(None, slow.into())),
        };
        match error.kind() {
            // Whoever may not send is refused before. Source: Service Bus REST reference, "Send Message".
            ErrorKind::HttpResponse { status, .. } if matches!(u16::from(*status), 404 | 410) => Ok(()),
            ErrorKind::HttpResponse { status, .. } => Err(explained(Some(u16::from(*status)), error.into())),
            // It says already whose token is missing.
            ErrorKind::Credential => Err(error.into()),
            _ => Err(explained(None, error.into())),
        }
    }
}

fn explained(status: Option<u16>, source: Unreached) -> Unreached {
    let advice = match status {
        Some(401 | 403) => {
            "the broker does not let the app in: its identity needs the role Azure Service Bus Data Sender; for an \
             emulator see OFFPEAK_BUS_KEY_NAME and OFFPEAK_BUS_KEY"
        }
        Some(429 | 503) => "the broker is as busy as it may be",
        _ => "no broker answers as it should; see OFFPEAK_BUS_ENDPOINT",
    };
    Explained { advice, source }.into()
}
