//! The one HTTP client of this process, shared by all adapters that speak HTTP and made when one of them first
//! needs it: it reads all of the machine's certificates, and the first answer of a fresh process waits for none.
use std::sync::{Arc, OnceLock};

use reqwest::{Client, redirect::Policy};

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
