//! The contract on real Redis servers: one, a cluster, with TLS, and with tokens of Entra ID.
use std::{process::Command, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_credentials::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderMap;
use offpeak::shared::{
    adapters::{
        redis_cache::{Access, Identity, RedisCache},
        system::SystemClock,
    },
    ports::{cache::Cache, clock::Clock as _},
    telemetry::{self, Scope, server_timing},
};

use super::{LONG, Subject, cache_contract, got, server::Redis, soon};

/// Far longer than any pause of a busy machine. What a shop does whose Redis is slow is asked for where it matters.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process's cache in this server.
pub(crate) fn cache_at(url: &str) -> Arc<RedisCache> {
    cache_with(url, PATIENCE)
}

/// The same, which waits for an answer no longer than that.
pub(crate) fn cache_with(url: &str, patience: Duration) -> Arc<RedisCache> {
    cache(Access { url: url.to_owned(), cluster: false, authority: None, identity: None }, patience)
}

fn cache(access: Access, patience: Duration) -> Arc<RedisCache> {
    Arc::new(RedisCache::new(&access, Arc::new(SystemClock), patience).unwrap())
}

/// Waits for the connection, which the first use begins.
pub(crate) async fn connected(cache: Arc<RedisCache>) -> Arc<RedisCache> {
    soon(|| async { cache.get(&["any".to_owned()]).await.is_ok() }).await;
    cache
}

async fn keeps_the_contract(access: Access) {
    let cache = connected(cache(access.clone(), PATIENCE)).await;
    cache_contract(&Subject { cache: cache.clone(), clock: None }).await;
    two_processes(cache, access).await;
}

/// What one process keeps another one finds.
async fn two_processes(one: Arc<RedisCache>, access: Access) {
    let other = connected(cache(access, PATIENCE)).await;
    assert!(one.is_shared());
    one.set("s:value", Bytes::from_static(b"of one"), LONG).unwrap();
    soon(|| async { got(other.as_ref(), "s:value").await.is_some() }).await;
    other.delete(&["s:value".to_owned()]).await.unwrap();
    assert_eq!(got(one.as_ref(), "s:value").await, None);

    for _ in 0..100 {
        one.count("s:count", 1, LONG);
        other.count("s:count", 2, LONG);
    }
    // A count hears of the other's units when it goes to Redis itself.
    for cache in [&one, &other] {
        soon(|| async { cache.count("s:count", 0, LONG) == 300 }).await;
    }
    one.push("s:list", &[Bytes::from_static(b"1")], 50, LONG, LONG).await.unwrap();
    let list = other.push("s:list", &[Bytes::from_static(b"2")], 50, LONG, LONG).await.unwrap();
    assert_eq!(list, ["1", "2"]);
}

fn plain(server: &Redis) -> Access {
    Access { url: server.url(), cluster: false, authority: None, identity: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract() {
    keeps_the_contract(plain(&Redis::start())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    let server = Redis::with("--port", &["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]);
    assert_eq!(server.cli(&["cluster", "addslotsrange", "0", "16383"]), "OK");
    soon(|| async { server.cli(&["cluster", "info"]).contains("cluster_state:ok") }).await;
    keeps_the_contract(Access { cluster: true, ..plain(&server) }).await;
}

/// An authority for this test alone, and a server's certificate by it.
fn certificates(folder: &std::path::Path) {
    let run = |words: &str| {
        let output = Command::new("openssl").current_dir(folder).args(words.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test"));
    run(&format!("req {key} -keyout server.key -out server.csr -subj /CN=127.0.0.1"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    run("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_over_tls_and_only_with_its_authority() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let files = ["--tls-cert-file", "FOLDER/server.pem", "--tls-key-file", "FOLDER/server.key"];
    let others = ["--tls-ca-cert-file", "FOLDER/ca.pem", "--tls-auth-clients", "no", "--port", "0"];
    let server = Redis::inside(folder, "--tls-port", &[&files[..], &others].concat());
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let authority = Some(std::fs::read(server.file("ca.pem")).unwrap());
    keeps_the_contract(Access { url: url.clone(), cluster: false, authority, identity: None }).await;

    let stranger = cache_at(&url);
    for _ in 0..50 {
        assert!(stranger.get(&["any".to_owned()]).await.is_err(), "nobody vouches for this server");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Gives out one token.
#[derive(Debug)]
struct Issuer(String);

#[async_trait]
impl TokenCredential for Issuer {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_credentials::Result<AccessToken> {
        assert_eq!(scopes, ["https://redis.azure.com/.default"]);
        Ok(AccessToken::new(self.0.clone(), SystemClock.now() + time::Duration::hours(1)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_redis_under_its_object_id() {
    let server = Redis::start();
    let token = format!("e30.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(r#"{"oid":"5f3a-77"}"#));
    assert_eq!(server.cli(&["acl", "setuser", "5f3a-77", "on", &format!(">{token}"), "~*", "+@all"]), "OK");
    assert_eq!(server.cli(&["acl", "setuser", "default", "off"]), "OK");
    let by =
        |token: &str| Access { identity: Some(Identity::Tokens(Arc::new(Issuer(token.to_owned())))), ..plain(&server) };
    keeps_the_contract(by(&token)).await;
    for stranger in [plain(&server), by(&token.replace("signature", "another"))].map(|it| cache(it, PATIENCE)) {
        for _ in 0..50 {
            assert!(stranger.get(&["any".to_owned()]).await.is_err());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_one_round_trip() {
    let server = Redis::start();
    let cache = connected(cache_at(&server.url())).await;
    let keys = ["a", "b", "c"].map(str::to_owned);
    telemetry::within(Scope::of("test", &HeaderMap::new()), async {
        let trips = |trips: u32| {
            let timing = server_timing().unwrap();
            assert!(timing.to_str().unwrap().ends_with(&format!("cache;desc=\"trips={trips}\"")), "{timing:?}");
        };
        cache.get(&keys).await.unwrap();
        trips(1);
        cache.push("list", &[Bytes::from_static(b"x")], 50, LONG, LONG).await.unwrap();
        trips(2);
        cache.set("a", Bytes::new(), LONG).unwrap();
        cache.count("n", 1, LONG);
        trips(2);
        cache.delete(&keys).await.unwrap();
        trips(3);
    })
    .await;
}
