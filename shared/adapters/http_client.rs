//! The one HTTP client of this process, shared by all adapters that speak HTTP and made when one of them first
//! needs it: it reads all of the machine's certificates, and the first answer of a fresh process waits for none.
use std::sync::{Arc, OnceLock};

use reqwest::{Client, Response, redirect::Policy};

/// Bytes of an answer that are read: keys, payments and errors are small, and whoever answers may be wrong.
pub const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    #[error("the answer is longer than {ANSWER_MAX_BYTES} bytes")]
    TooLong,
}

/// The whole body of an answer. The request's time-out bounds the time.
///
/// # Errors
/// See [`AnswerError`].
pub async fn body(mut answer: Response) -> Result<Vec<u8>, AnswerError> {
    let mut read = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(AnswerError::Broken)? {
        if read.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(AnswerError::TooLong);
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

/// Cheap to clone; all clones are the same client with the same connections.
#[derive(Clone, Debug, Default)]
pub struct HttpClient(Arc<OnceLock<Client>>);

impl HttpClient {
    /// # Errors
    /// If TLS cannot be set up; the next call tries again.
    pub fn get(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        // An answer that sends us elsewhere is a fault, not an instruction; and where calls go is said by our own
        // settings, not by a proxy variable that happens to be set.
        let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        // Two that come first at once each make one, and both use the one that was kept.
        Ok(self.0.get_or_init(|| client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_whole_or_not_at_all() {
        let answer = |bytes: usize| Response::from(http::Response::new("x".repeat(bytes)));
        assert_eq!(body(answer(ANSWER_MAX_BYTES)).await.unwrap().len(), ANSWER_MAX_BYTES);
        assert!(matches!(body(answer(ANSWER_MAX_BYTES + 1)).await, Err(AnswerError::TooLong)));
    }
}
