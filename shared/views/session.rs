//! What a shop calls a visit, so that one click is seen beside another.
use offpeak_domain::code::Code;

use crate::shared::{host::problem::Problem, ports::hub::HubError};

const CHARS: std::ops::RangeInclusive<usize> = 16..=64;

/// A session's id as it came under `field`: long enough that nobody guesses it.
///
/// # Errors
/// `validation_failed`.
pub fn session_id<'t>(field: &str, text: Option<&'t str>) -> Result<Option<&'t str>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let plain = text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
    if plain && CHARS.contains(&text.len()) {
        return Ok(Some(text));
    }
    let form = "16 to 64 of A-Z a-z 0-9 - _, drawn at random once for each visitor, as crypto.randomUUID() does";
    Err(Problem::invalid(field, form))
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
