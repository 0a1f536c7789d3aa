//! Who the caller is, from a bearer token. Shoppers without an account carry a cart token instead.
use async_trait::async_trait;

/// Staff as their token describes them: signature, issuer, audience and expiry are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Stable subject; goes into audit trails.
    pub subject: String,
    pub roles: Vec<String>,
    pub scopes: Vec<String>,
}

/// The role that has every scope.
pub const OWNER: &str = "owner";

impl Caller {
    /// `read_x` or `write_x`.
    pub fn may(&self, scope: &str) -> bool {
        let listed = |list: &[String], name: &str| list.iter().any(|it| it == name);
        listed(&self.roles, OWNER) || listed(&self.roles, scope) || listed(&self.scopes, scope)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Forged, expired, for someone else, or no token at all.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// The issuer's keys cannot be had right now.
    #[error("the token issuer is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[async_trait]
pub trait Identity: Send + Sync {
    /// # Errors
    /// See [`IdentityError`].
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError>;
}
