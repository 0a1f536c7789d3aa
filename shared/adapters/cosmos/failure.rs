//! What the service refuses, in words that name the setting or the role to put right.
use std::time::Duration;

use azure_data_cosmos::CosmosError;

use super::retry::Failed;
use crate::shared::ports::documents::StoreError;

/// Sub-status of 403: a logical partition has its 20 GB. Source: Cosmos DB, "HTTP status codes".
const PARTITION_FULL: u16 = 1014;

/// `{what}: {advice}`, with the service's own words as its source.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {advice}")]
struct Explained {
    what: String,
    advice: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Request rate too large, and a write that met another one: neither was done.
const THROTTLED: u16 = 429;
const RETRY_WITH: u16 = 449;

/// `what` was asked: a container, or the account.
pub(super) fn failed(what: &str, error: &CosmosError) -> Failed {
    let told = error.response().and_then(|it| it.headers().retry_after_ms);
    let why = explained(what, error);
    if error.status().is_transport_generated_503() || error.status().is_timeout() {
        return Failed::Lost(why);
    }
    refused(u16::from(error.status().status_code()), why, told.map(Duration::from_millis))
}

/// The service took a batch and rolled it back, because it refused what was to be done with document `id`.
pub(super) fn refused_in_batch(id: &str, status: u16, sub: u16, wait: Option<Duration>) -> Failed {
    let what = format!("document {id}, in a batch");
    let source = format!("refused with {status}, {sub}").into();
    refused(status, StoreError::Unavailable(Box::new(Explained { what, advice: advice(status, sub), source })), wait)
}

/// Sorts a refusal by its status: what was only turned away may be asked for again.
fn refused(status: u16, why: StoreError, wait: Option<Duration>) -> Failed {
    match status {
        THROTTLED | RETRY_WITH => Failed::Turned { away: why, wait },
        _ => Failed::Ended(why),
    }
}

fn explained(what: &str, error: &CosmosError) -> StoreError {
    let status = error.status();
    let code = u16::from(status.status_code());
    let sub = status.sub_status().map_or(0, u16::from);
    if code == 413 {
        return StoreError::Refused(format!("{what}: the service takes no item this large"));
    }
    StoreError::Unavailable(Box::new(Explained {
        what: what.to_owned(),
        advice: advice(code, sub),
        source: error.to_string().into(),
    }))
}

fn advice(code: u16, sub: u16) -> &'static str {
    match (code, sub) {
        (400, _) => "the request is not understood; the SDK and the service may be of different ages",
        (401, _) => "the credential is not accepted; see OFFPEAK_COSMOS_KEY, and that this machine's clock is right",
        (403, PARTITION_FULL) => "a logical partition holds as much as it can",
        (403, _) => {
            "the app's identity needs the role Cosmos DB Built-in Data Contributor, and a way through the \
                     account's firewall"
        }
        // An item that is not there is an answer and never comes here.
        (404, _) => "there is no such container; see OFFPEAK_COSMOS_DATABASE, or deploy infra/bicep",
        (408 | 410 | 449 | 500..=599, _) => "the service does not answer; see OFFPEAK_COSMOS_ENDPOINT",
        (429, _) => "the container has used up its request units for now",
        _ => "the service refuses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_what_to_put_right() {
        assert!(advice(401, 0).contains("OFFPEAK_COSMOS_KEY"));
        assert!(advice(403, 5300).contains("Data Contributor"));
        assert!(advice(403, PARTITION_FULL).contains("partition"));
        assert!(advice(404, 1003).contains("OFFPEAK_COSMOS_DATABASE"));
        assert!(advice(503, 20001).contains("OFFPEAK_COSMOS_ENDPOINT"));
        assert!(advice(429, 3200).contains("request units"));
    }
}
