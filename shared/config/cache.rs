//! Settings of what may be forgotten: the cache.
use std::path::PathBuf;

use super::{Reader, Secret, nowhere};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheConfig {
    /// Nothing is shared or counted.
    None,
    /// Each process for itself.
    Memory,
    /// A server or a cluster. `authority` is a file of PEM. Without a password in the URL, and not on this machine, the
    /// app's managed identity asks, `client_id` if it has several.
    Redis { url: Secret, cluster: bool, authority: Option<PathBuf>, identity: Option<RedisIdentity> },
}

/// The app's managed identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisIdentity {
    pub client_id: Option<String>,
}

impl Reader<'_> {
    pub(super) fn cache(&mut self) -> CacheConfig {
        let known = ["memory", "redis", "none"];
        match self.adapter("OFFPEAK_CACHE", "what may be forgotten", "memory", &known).as_str() {
            "redis" => self.redis(),
            "memory" => CacheConfig::Memory,
            _ => CacheConfig::None,
        }
    }

    fn redis(&mut self) -> CacheConfig {
        let text = self.required("OFFPEAK_REDIS_URL", "the server, rediss://HOST:PORT");
        let url = self.url("OFFPEAK_REDIS_URL", &text);
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
        match url.scheme() {
            "rediss" => {}
            "redis" if here => {}
            "redis" => self.faults.push("OFFPEAK_REDIS_URL is without TLS; it is rediss://HOST:PORT".to_owned()),
            _ if url == nowhere() => {}
            _ => self.faults.push("OFFPEAK_REDIS_URL is not rediss://HOST:PORT".to_owned()),
        }
        if url.password().is_some() && !here {
            let advice = "a service takes the app's managed identity";
            self.faults.push(format!("OFFPEAK_REDIS_URL has a password, for a server on this machine only: {advice}"));
        }
        let cluster = match self.text("OFFPEAK_REDIS_CLUSTER").as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => self.fault(format!("OFFPEAK_REDIS_CLUSTER is `{other}`; it is `on` or `off`")),
        };
        let authority = self.text("OFFPEAK_REDIS_CA").map(PathBuf::from);
        let identity = (!here).then(|| RedisIdentity { client_id: self.text("AZURE_CLIENT_ID") });
        CacheConfig::Redis { url: Secret(text), cluster, authority, identity }
    }
}
