//! What the place refuses, in words that name the setting or the role to put right.
use std::time::Duration;

use object_store::Error;

use crate::shared::ports::objects::{ObjectError, ObjectName};

/// `{what}: {advice}`, with the place's own words as its source.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {advice}")]
struct Explained {
    what: String,
    advice: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}; see OFFPEAK_OBJECTS_ENDPOINT")]
pub(super) struct Slow(pub(super) Duration);

#[derive(Debug, thiserror::Error)]
#[error("it broke off {left} bytes before its end")]
pub(super) struct BrokeOff {
    pub(super) left: u64,
}

pub(super) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ObjectError {
    ObjectError::Unavailable(Box::new(error))
}

pub(super) fn explained(
    what: &str,
    advice: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> ObjectError {
    unavailable(Explained { what: what.to_owned(), advice, source })
}

pub(super) fn failed(name: &ObjectName, error: &Error) -> ObjectError {
    // The crate tells apart what it has asked for; everything else it passes on in words.
    let words = error.to_string();
    match error {
        Error::NotFound { .. } if !words.contains(NO_CONTAINER) => ObjectError::Missing(name.clone()),
        Error::AlreadyExists { .. } => ObjectError::Taken(name.clone()),
        Error::Precondition { .. } => ObjectError::Changed(name.clone()),
        _ => explained(name.as_str(), advice(&words), words.clone().into()),
    }
}

/// The service's code for a container that is not there. Source: Blob service error codes.
const NO_CONTAINER: &str = "ContainerNotFound";

/// What the crate's words contain, and what that asks for. The first that fits counts.
const ADVICE: &[(&[&str], &str)] = &[
    (&[NO_CONTAINER], "there is no such container; see OFFPEAK_OBJECTS_CONTAINER, or deploy infra/bicep"),
    (
        &["token request"],
        "the app gets no token; it needs a managed identity, and AZURE_CLIENT_ID says which if there are several",
    ),
    (
        &["AuthenticationFailed", "401 "],
        "the credential is not accepted; see AZURE_CLIENT_ID, for an emulator OFFPEAK_OBJECTS_KEY, and that this machine's \
         clock is right",
    ),
    (
        &["403 "],
        "the app's identity needs the role Storage Blob Data Contributor, and a way through the account's firewall; for \
         an emulator see OFFPEAK_OBJECTS_KEY",
    ),
    (&["429 ", "503 ", "ServerBusy"], "the account is as busy as it may be"),
    (&["404 "], "there is nothing at this address; see OFFPEAK_OBJECTS_ENDPOINT"),
    (&["MicrosoftAzure"], "the account does not answer as it should; see OFFPEAK_OBJECTS_ENDPOINT"),
];

fn advice(words: &str) -> &'static str {
    let found = ADVICE.iter().find(|(signs, _)| signs.iter().any(|it| words.contains(it)));
    found.map_or("the folder cannot be used; see OFFPEAK_DATA", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_what_to_put_right() {
        let status = |it: &str| format!("Generic MicrosoftAzure error: Server returned non-2xx status code: {it}");
        let check = |words: &str, part: &str| assert!(advice(words).contains(part), "{words}: {}", advice(words));
        check(&status("404 Not Found: <Code>ContainerNotFound</Code>"), "OFFPEAK_OBJECTS_CONTAINER");
        check(&status("403 Forbidden: <Code>AuthenticationFailed</Code>"), "OFFPEAK_OBJECTS_KEY");
        check(&status("403 Forbidden: <Code>AuthorizationPermissionMismatch</Code>"), "Storage Blob Data Contributor");
        check("Generic MicrosoftAzure error: Error performing token request: 400 Bad Request", "AZURE_CLIENT_ID");
        check(&status("503 Service Unavailable: "), "busy");
        check("Generic MicrosoftAzure error: Error performing GET: connection refused", "OFFPEAK_OBJECTS_ENDPOINT");
        check("Generic LocalFileSystem error: Unable to open file", "OFFPEAK_DATA");
    }
}
