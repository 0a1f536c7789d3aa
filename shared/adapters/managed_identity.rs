//! The identity that Azure gives to the app: what every service of Azure is asked with, so that no key is kept.
use std::sync::Arc;

use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

/// It asks for nothing yet, and keeps each token until it ends; `client_id` says which identity, if there are several.
///
/// # Errors
/// If this machine gives none in a way that is known.
pub(super) fn managed_identity(
    client_id: Option<&str>,
) -> Result<Arc<ManagedIdentityCredential>, Box<dyn std::error::Error + Send + Sync>> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(|it| UserAssignedId::ClientId(it.to_owned())),
        ..ManagedIdentityCredentialOptions::default()
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}
