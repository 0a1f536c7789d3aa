//! How Service Bus and Event Hubs know us: by a shared access policy, or by the app's identity.
use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_credentials::credentials::TokenCredential;

use super::managed_identity::managed_identity;

/// What a broker knows us by.
#[derive(Clone)]
pub enum Access {
    /// A shared access policy. Every message carries a fresh signature.
    Policy { name: String, key: String },
    /// Tokens of an identity, asked for at every message; the source keeps them while they are valid.
    Identity(Arc<dyn TokenSource>),
}

impl fmt::Debug for Access {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Policy { name, .. } => f.debug_struct("Policy").field("name", name).finish_non_exhaustive(),
            Access::Identity(_) => f.write_str("Identity"),
        }
    }
}

/// Gives bearer tokens for one broker.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that is valid now.
    ///
    /// # Errors
    /// Whatever kept the source from having one; the send then fails as unavailable.
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}

/// A kind of broker, as Entra ID knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// The identity needs the role Azure Service Bus Data Sender.
    ServiceBus,
    /// The identity needs the role Azure Event Hubs Data Sender.
    EventHubs,
}

impl Broker {
    /// Source: Service Bus and Event Hubs, "Authenticate a managed identity".
    const fn scope(self) -> &'static str {
        match self {
            Broker::ServiceBus => "https://servicebus.azure.net/.default",
            Broker::EventHubs => "https://eventhubs.azure.net/.default",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Broker::ServiceBus => "Service Bus",
            Broker::EventHubs => "Event Hubs",
        }
    }
}

/// Whoever gives tokens of Entra ID, asked for those that a broker takes. The credential keeps a token until it ends.
pub struct EntraTokens {
    broker: Broker,
    credential: Arc<dyn TokenCredential>,
}

impl EntraTokens {
    pub fn new(broker: Broker, credential: Arc<dyn TokenCredential>) -> EntraTokens {
        EntraTokens { broker, credential }
    }

    /// Of the app's own identity; `client_id` says which, if there are several.
    ///
    /// # Errors
    /// If this machine gives none in a way that is known.
    pub fn managed(
        broker: Broker,
        client_id: Option<&str>,
    ) -> Result<EntraTokens, Box<dyn std::error::Error + Send + Sync>> {
        Ok(EntraTokens { broker, credential: managed_identity(client_id)? })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the app gets no token for {broker}; it needs a managed identity, and AZURE_CLIENT_ID says which of several")]
struct NoToken {
    broker: &'static str,
    source: azure_credentials::Error,
}

#[async_trait]
impl TokenSource for EntraTokens {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let broker = self.broker.name();
        let asked = self.credential.get_token(&[self.broker.scope()], None).await;
        Ok(asked.map_err(|source| NoToken { broker, source })?.token.secret().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_shown() {
        let access = Access::Policy { name: "send".into(), key: "s3cret".into() };
        assert_eq!(format!("{access:?}"), r#"Policy { name: "send", .. }"#);
    }
}
