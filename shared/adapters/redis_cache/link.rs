//! A connection to one server, or one to each node of a cluster.
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisResult, TlsCertificates, ToRedisArgs, Value,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};

use super::{Access, Entra};

/// Makes links.
pub(super) struct Connector {
    way: Way,
    made: AtomicU64,
}

enum Way {
    One(Box<Client>, Option<Entra>),
    Cluster(Box<ClusterClient>),
}

/// Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub(super) struct Link {
    /// No two links of a process have the same.
    pub(super) number: u64,
    connection: Connection,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    pub(super) fn new(access: &Access, entra: Option<Entra>) -> RedisResult<Connector> {
        let certificates =
            access.authority.clone().map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
        let way = if access.cluster {
            // The caller's patience is shorter than any other try would take.
            let mut builder = ClusterClientBuilder::new([access.url.as_str()]).retries(1);
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            if let Some(entra) = entra {
                builder = builder.set_credentials_provider(entra);
            }
            Way::Cluster(Box::new(builder.build()?))
        } else {
            let client = match certificates {
                Some(certificates) => Client::build_with_tls(access.url.as_str(), certificates)?,
                None => Client::open(access.url.as_str())?,
            };
            Way::One(Box::new(client), entra)
        };
        Ok(Connector { way, made: AtomicU64::new(0) })
    }

    /// A link whose server has answered.
    pub(super) async fn connect(&self) -> RedisResult<Link> {
        let connection = match &self.way {
            Way::One(client, entra) => {
                // Who waits says for how long.
                let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                if let Some(entra) = entra {
                    config = config.set_credentials_provider(entra.clone());
                }
                Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            // Connecting asks the nodes which of them has what.
            Way::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        };
        let link = Link { number: self.made.fetch_add(1, Ordering::Relaxed), connection };
        link.exchange(vec![vec![command("GET", "offpeak")]]).await?;
        Ok(link)
    }
}

impl Link {
    /// Each part is about one key; all go at once. Answers in the same order.
    pub(super) async fn exchange(&self, parts: Vec<Vec<Cmd>>) -> RedisResult<Vec<Vec<Value>>> {
        match &self.connection {
            Connection::One(connection) => {
                let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
                let pipeline = pipeline(parts.into_iter().flatten());
                let answers: Vec<Value> = pipeline.query_async(&mut connection.clone()).await?;
                let mut answers = answers.into_iter();
                Ok(lengths.into_iter().map(|length| answers.by_ref().take(length).collect()).collect())
            }
            Connection::Cluster(connection) => {
                let ask = |part: Vec<Cmd>| {
                    let mut connection = connection.clone();
                    async move { pipeline(part.into_iter()).query_async::<Vec<Value>>(&mut connection).await }
                };
                try_join_all(parts.into_iter().map(ask)).await
            }
        }
    }
}

fn pipeline(commands: impl Iterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

pub(super) fn command(name: &str, arguments: impl ToRedisArgs) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(arguments);
    command
}

/// The connection will not answer any more.
pub(super) fn is_gone(err: &RedisError) -> bool {
    err.is_connection_dropped() || err.is_unrecoverable_error()
}
