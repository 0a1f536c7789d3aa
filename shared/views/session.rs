//! What a shop calls a visit, so that one click is seen beside another.
use offpeak_domain::code::Code;

use crate::shared::{
    host::problem::Problem,
    operations::clicks::sessions::{ID_FORM, is_id},
    ports::hub::HubError,
};

/// A session's id as it came under `field`, if any came.
///
/// # Errors
/// `validation_failed`.
pub fn session_id<'t>(field: &str, text: Option<&'t str>) -> Result<Option<&'t str>, Problem> {
    if text.is_none_or(is_id) { Ok(text) } else { Err(Problem::invalid(field, ID_FORM)) }
}

impl From<HubError> for Problem {
    fn from(err: HubError) -> Problem {
        tracing::error!(error = &err as &dyn std::error::Error, "Events were not taken.");
        match err {
            HubError::Unavailable { wait, .. } => {
                let wait = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
                Problem::new(Code::Unavailable, "The events could not be kept now. Send them again.").retry_after(wait)
            }
            HubError::Refused(_) => Problem::bare(Code::Internal),
        }
    }
}
