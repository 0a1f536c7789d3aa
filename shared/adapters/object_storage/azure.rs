//! A container of Azure Blob Storage, or of an emulator on this machine.
//!
//! Requests go through the process's own HTTP client, with one thing added: a list of blocks becomes an object only
//! under a free name. The crate has no word for that, and a shared key would sign the header list as the crate has
//! made it; so an emulator's key is turned into a signature in the URL, which signs no headers.
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use http::{HeaderValue, Method, StatusCode, header::IF_NONE_MATCH};
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig, StaticCredentialProvider,
    azure::{AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder},
    client::{HttpClient as StoreClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService},
};
use sha2::Sha256;
use url::Url;

use super::failure::explained;
use crate::shared::{
    adapters::http_client::{self, HttpClient},
    ports::objects::{ObjectError, ObjectName},
};

/// What errors of ours are named after, as the crate names its own.
const STORE: &str = "MicrosoftAzure";
/// The version of the REST API that the crate speaks.
const VERSION: &str = "2023-11-03";
/// Tries of one request after the first, when the service says that it is busy or the line breaks.
const RETRIES_MAX: usize = 3;
const RETRY_WITHIN: Duration = Duration::from_secs(15);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Where the container is and who asks for it.
#[derive(Clone, Debug)]
pub struct Account {
    /// `https://ACCOUNT.blob.core.windows.net`, or an emulator's `http://127.0.0.1:10000/ACCOUNT`.
    pub endpoint: Url,
    pub container: String,
    pub credential: Credential,
}

#[derive(Clone)]
pub enum Credential {
    /// The identity that Azure gives to the app; `client_id` if it has several. `endpoint` is where the platform hands
    /// out tokens, if it has said so.
    ManagedIdentity { client_id: Option<String>, endpoint: Option<String> },
    /// An emulator's account key.
    Key(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::ManagedIdentity { client_id, .. } => {
                f.debug_struct("ManagedIdentity").field("client_id", client_id).finish_non_exhaustive()
            }
            Credential::Key(_) => f.write_str("Key(secret)"),
        }
    }
}

/// An opened container.
pub(super) struct Container {
    pub(super) store: MicrosoftAzure,
    /// Its own address, without a slash at the end.
    url: String,
    client: HttpClient,
}

pub(super) fn open(account: &Account, client: HttpClient) -> Result<Container, ObjectError> {
    let name = account_name(&account.endpoint);
    let endpoint = account.endpoint.as_str().trim_end_matches('/').to_owned();
    let url = format!("{endpoint}/{}", account.container);
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&name)
        .with_container_name(&account.container)
        .with_endpoint(endpoint)
        .with_retry(RetryConfig {
            backoff: BackoffConfig { max_backoff: RETRY_PAUSE_MAX, ..BackoffConfig::default() },
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_WITHIN,
        })
        .with_http_connector(Connector(client.clone()));
    builder = match &account.credential {
        Credential::ManagedIdentity { client_id, endpoint } => {
            builder = client_id.iter().fold(builder, |builder, it| builder.with_client_id(it));
            endpoint.iter().fold(builder, |builder, it| builder.with_msi_endpoint(it))
        }
        Credential::Key(key) => {
            let signed = AzureCredential::SASToken(signature(&name, key)?);
            builder.with_credentials(Arc::new(StaticCredentialProvider::new(signed)))
        }
    };
    let store = builder.build().map_err(|err| explained(&name, "see OFFPEAK_OBJECTS_ENDPOINT", err.into()))?;
    Ok(Container { store, url, client })
}

impl Container {
    /// One request for one object. The crate deletes by batches only, which the emulator does not take from a signed
    /// URL.
    pub(super) async fn delete(&self, name: &ObjectName) -> object_store::Result<()> {
        let passed_on = |source| object_store::Error::Generic { store: STORE, source };
        let client = self.client.get().map_err(|err| passed_on(err.into()))?;
        let credential = self.store.credentials().get_credential().await?;
        let mut url = Url::parse(&format!("{}/{name}", self.url)).map_err(|err| passed_on(err.into()))?;
        if let AzureCredential::SASToken(parameters) = &*credential {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = client.delete(url).header("x-ms-version", VERSION);
        if let AzureCredential::BearerToken(token) = &*credential {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|err| passed_on(err.without_url().into()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = http_client::body(answer).await.unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let source = format!("the answer is {status}: {said}").into();
        match status {
            StatusCode::NOT_FOUND => Err(object_store::Error::NotFound { path: name.to_string(), source }),
            _ => Err(passed_on(source)),
        }
    }
}

/// In the cloud the first label of the host, for an emulator the first segment of the path.
fn account_name(endpoint: &Url) -> String {
    let segment = endpoint.path_segments().and_then(|mut it| it.next()).filter(|it| !it.is_empty());
    let label = endpoint.host_str().and_then(|it| it.split('.').next());
    segment.or(label).unwrap_or_default().to_owned()
}

/// What a key may do, for ever, as parameters of a URL. Source: Azure Storage, "Create an account SAS", 2020-12-06.
fn signature(account: &str, key: &str) -> Result<Vec<(String, String)>, ObjectError> {
    let unusable = |err: Box<dyn std::error::Error + Send + Sync>| {
        explained(account, "OFFPEAK_OBJECTS_KEY is not a key: base64 as the emulator shows it", err)
    };
    let key = STANDARD.decode(key).map_err(|err| unusable(err.into()))?;
    let (allowed, services, kinds) = ("rwdlac", "b", "sco");
    let (until, protocols, version) = ("9999-12-31T00:00:00Z", "https,http", "2021-12-02");
    let signed = format!("{account}\n{allowed}\n{services}\n{kinds}\n\n{until}\n\n{protocols}\n{version}\n\n");
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).map_err(|err| unusable(err.into()))?;
    hmac.update(signed.as_bytes());
    let signature = STANDARD.encode(hmac.finalize().into_bytes());
    let parameters = [("sv", version), ("ss", services), ("srt", kinds), ("sp", allowed), ("se", until)];
    let parameters = parameters.into_iter().chain([("spr", protocols), ("sig", signature.as_str())]);
    Ok(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Gives the crate the process's own client.
#[derive(Debug)]
struct Connector(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<StoreClient> {
        let client = self.0.get().map_err(|err| object_store::Error::Generic { store: STORE, source: err.into() })?;
        Ok(StoreClient::new(CreateOnly(client.clone())))
    }
}

/// Adds to a list of blocks that there must be nothing under its name.
#[derive(Debug)]
struct CreateOnly(reqwest::Client);

#[async_trait]
impl HttpService for CreateOnly {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let lists_blocks = request.uri().query().is_some_and(|it| it.split('&').any(|it| it == "comp=blocklist"));
        if request.method() == Method::PUT && lists_blocks {
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        HttpService::call(&self.0, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_read_from_its_address() {
        for (endpoint, account) in [
            ("https://shop.blob.core.windows.net/", "shop"),
            ("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
        ] {
            assert_eq!(account_name(&endpoint.parse().unwrap()), account);
        }
    }

    #[test]
    fn a_key_is_never_shown_and_must_be_one() {
        assert_eq!(format!("{:?}", Credential::Key("hunter2".to_owned())), "Key(secret)");
        let fault = crate::shared::ports::chain(&signature("shop", "hunter 2").unwrap_err());
        assert!(fault.contains("OFFPEAK_OBJECTS_KEY") && !fault.contains("hunter"), "{fault}");
    }
}
