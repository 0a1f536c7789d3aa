//! Whether what the shop depends on is there and lets it in: what `handler --check` asks of every adapter.
use async_trait::async_trait;

use super::documents::{Container, Documents, ETag, StoreError, Write};

/// Why it cannot be used; where the adapter can tell, with the setting or role to put right. It shows no secret.
pub type Unreached = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
pub trait Reach: Send + Sync {
    /// Asks the least that shows it, the way the shop itself asks. It changes nothing that the shop can see.
    ///
    /// # Errors
    /// [`Unreached`].
    async fn reach(&self) -> Result<(), Unreached>;
}

/// Reads a document that nobody wrote and removes a version of it that never was: whoever may not write is told so.
///
/// # Errors
/// [`Unreached`].
pub async fn documents(documents: &dyn Documents) -> Result<(), Unreached> {
    const NAME: &str = "check";
    documents.read(Container::Stores, NAME, NAME).await?;
    let never = Write::Delete { id: NAME.to_owned(), etag: ETag(NAME.to_owned()) };
    match documents.write(Container::Stores, NAME, vec![never]).await {
        Ok(_) => Err(format!("it removed a document {NAME} that was never there").into()),
        Err(StoreError::Changed { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
