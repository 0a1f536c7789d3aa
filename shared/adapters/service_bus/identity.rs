//! Tokens of the app's managed identity for Service Bus. It needs the role Azure Service Bus Data Sender.
use std::sync::Arc;

use async_trait::async_trait;
use azure_credentials::credentials::TokenCredential;

use super::TokenSource;
use crate::shared::adapters::managed_identity::managed_identity;

/// Source: Service Bus, "Authenticate a managed identity".
const SCOPE: &str = "https://servicebus.azure.net/.default";

/// Whoever gives tokens of Entra ID, asked for those that Service Bus takes. The credential keeps a token until it ends.
pub struct EntraTokens(Arc<dyn TokenCredential>);

impl EntraTokens {
    pub fn new(credential: Arc<dyn TokenCredential>) -> EntraTokens {
        EntraTokens(credential)
    }

    /// Of the app's own identity; `client_id` says which, if there are several.
    ///
    /// # Errors
    /// If this machine gives none in a way that is known.
    pub fn managed(client_id: Option<&str>) -> Result<EntraTokens, Box<dyn std::error::Error + Send + Sync>> {
        Ok(EntraTokens(managed_identity(client_id)?))
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the app gets no token for Service Bus; it needs a managed identity, and AZURE_CLIENT_ID says which of several"
)]
struct NoToken(#[source] azure_credentials::Error);

#[async_trait]
impl TokenSource for EntraTokens {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let token = self.0.get_token(&[SCOPE], None).await.map_err(NoToken)?;
        Ok(token.token.secret().to_owned())
    }
}
