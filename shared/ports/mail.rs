//! Mail to shoppers. The same `event_id` may be handed over more than once: an adapter that can
//! tell (files named by event id) delivers it once, one that cannot (SMTP) sets a stable Message-ID.
use async_trait::async_trait;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Names the mail: at most one is meant to exist for each.
    pub event_id: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Try again later.
    #[error("mail could not be handed over")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This letter can never be sent (for instance an address no server accepts).
    #[error("the mail was refused: {0}")]
    Refused(String),
}

#[async_trait]
pub trait Mail: Send + Sync {
    /// # Errors
    /// See [`MailError`].
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}
