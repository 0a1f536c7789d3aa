//! What goes wrong between us and the account is said in words that name what to put right, and shows no secret.
use std::{net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        object_storage::{Account, Credential, Place, StoredObjects},
    },
    ports::{
        chain,
        objects::{ObjectError, Objects},
    },
};
use serde_json::json;

use super::{
    LARGE_BYTES,
    azurite::{Azurite, KEY},
    content, name, stored,
};
use crate::payments::stub::Stub;

/// Every operation fails for now, and says this.
async fn all_say(objects: &Arc<dyn Objects>, part: &str) {
    let at = name("faults/a");
    let outcomes = [
        ("put", objects.put(&at, Bytes::from_static(b"x")).await.map(drop)),
        ("upload", large(objects).await),
        ("read", objects.read(&at, None).await.map(drop)),
        ("read a part", objects.read(&at, Some(5..9)).await.map(drop)),
        ("list", objects.list(&at, None, 10).await.map(drop)),
        ("delete", objects.delete(&at).await),
        ("pointer", objects.pointer(&at).await.map(drop)),
        ("point", objects.point(&at, "x", None).await.map(drop)),
    ];
    for (what, outcome) in outcomes {
        let Err(ObjectError::Unavailable(_)) = &outcome else { panic!("{what}: {outcome:?}") };
        let said = chain(&outcome.unwrap_err());
        assert!(said.contains(part), "{what}: {said}");
        assert!(!said.contains("sig=") && !said.contains(&KEY[..20]), "{what} shows a secret: {said}");
    }
}

async fn large(objects: &Arc<dyn Objects>) -> Result<(), ObjectError> {
    let mut upload = objects.upload(&name("faults/large")).await?;
    upload.write(content(1, LARGE_BYTES)).await?;
    upload.finish().await.map(drop)
}

#[tokio::test]
async fn a_wrong_key_or_container_is_named() {
    let azurite = Azurite::start().await;
    let with = |account: Account| stored(Place::Azure(account));
    let key = Credential::Key("aHVudGVyMg==".to_owned());
    all_say(&with(Account { credential: key, ..azurite.account() }), "OFFPEAK_OBJECTS_KEY").await;
    let garbled = Credential::Key("hunter2!".to_owned());
    all_say(&with(Account { credential: garbled, ..azurite.account() }), "OFFPEAK_OBJECTS_KEY").await;
    all_say(&with(Account { container: "elsewhere".to_owned(), ..azurite.account() }), "OFFPEAK_OBJECTS_CONTAINER")
        .await;
}

#[tokio::test]
async fn an_account_that_is_gone_is_a_delay_and_half_an_object_is_none() {
    let mut azurite = Azurite::start().await;
    let objects = stored(azurite.place());
    let at = name("faults/large");
    // More than the system keeps on its way from one process to the other.
    let all = 64 * 1024 * 1024;
    objects.put(&at, vec![7; all].into()).await.unwrap();
    let mut object = objects.read(&at, None).await.unwrap();
    let mut read = object.body.chunk().await.unwrap().unwrap().len();
    azurite.kill();
    let end = loop {
        match object.body.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            end => break end,
        }
    };
    assert!(matches!(end, Err(ObjectError::Unavailable(_))), "{end:?} after {read} of {all} bytes");
    assert!(read < all);
    all_say(&objects, "OFFPEAK_OBJECTS_ENDPOINT").await;
}

#[tokio::test]
async fn a_silent_account_does_not_hold_the_caller() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/account", silent.local_addr().unwrap());
    let account = Account {
        endpoint: endpoint.parse().unwrap(),
        container: "offpeak".to_owned(),
        credential: Credential::Key(KEY.to_owned()),
    };
    let patience = Duration::from_millis(200);
    let objects = StoredObjects::new(Place::Azure(account), HttpClient::default(), patience);
    all_say(&(Arc::new(objects) as Arc<dyn Objects>), "no answer within 200ms").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    all_say(&stored(Place::Folder(file.join("objects"))), "OFFPEAK_DATA").await;
}

/// An account as the cloud has it: the identity's tokens, from where the platform hands them out.
async fn with_identity(token: (u16, serde_json::Value), blob: u16) -> (Stub, Stub, Arc<dyn Objects>) {
    let identity = Stub::start(move |_| Some(token.clone())).await;
    let account = Stub::start(move |_| Some((blob, json!({})))).await;
    let credential = Credential::ManagedIdentity {
        client_id: Some("0000-app".to_owned()),
        endpoint: Some(format!("{}msi/token", identity.url)),
    };
    let endpoint = account.url.parse().unwrap();
    let objects = stored(Place::Azure(Account { endpoint, container: "offpeak".to_owned(), credential }));
    (identity, account, objects)
}

#[tokio::test]
async fn the_apps_identity_asks_for_a_token_once_and_shows_it() {
    let token =
        json!({"access_token": "the-token", "expires_on": "4102444800", "resource": "", "token_type": "Bearer"});
    let (identity, account, objects) = with_identity((200, token), 404).await;
    for _ in 0..2 {
        assert_eq!(objects.pointer(&name("series/current")).await.unwrap(), None);
    }
    let asked = identity.sent();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].line.contains("client_id=0000-app"), "{asked:?}");
    assert!(asked[0].line.contains("resource=https%3A%2F%2Fstorage.azure.com"), "{asked:?}");
    let sent = account.sent();
    assert_eq!(
        (sent[0].line.as_str(), sent[1].header("authorization")),
        ("GET /offpeak/series/current", "Bearer the-token")
    );
}

#[tokio::test]
async fn an_identity_without_a_token_or_a_role_is_named() {
    let refused = json!({"error": "invalid_request", "error_description": "Identity not found"});
    let (_identity, _account, objects) = with_identity((400, refused), 404).await;
    all_say(&objects, "AZURE_CLIENT_ID").await;
    let token =
        json!({"access_token": "the-token", "expires_on": "4102444800", "resource": "", "token_type": "Bearer"});
    let (_identity, _account, objects) = with_identity((200, token), 403).await;
    all_say(&objects, "Storage Blob Data Contributor").await;
}
