//! The Cosmos DB emulator that the SDK's authors test with, over HTTP on this machine: what the document port's
//! adapter is held to where there is no account. Test-only.
//!
//! `cosmos_emulator ACCOUNT.json` reads regions and containers, binds a port for the account and one per region on 127.0.0.1, prints
//! `ready URL`, the account's own, which leads to whichever region takes writes, and serves until its standard input ends. Each line of that is an order
//! ([`orders`]), answered by one line: `done`, or what was asked for.
mod budget;
mod orders;
mod rolled_back;
mod serve;
/// The shop's own table.
#[path = "../../shared/adapters/cosmos/units.rs"]
mod units;

use std::{error::Error, sync::Arc, time::Duration};

use azure_data_cosmos_driver::{
    in_memory_emulator::{
        ConsistencyLevel, ContainerConfig, InMemoryEmulatorHttpClient, ReplicationConfig, VirtualAccountConfig,
        VirtualRegion,
    },
    models::PartitionKeyDefinition,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
};
use url::Url;

/// What the account has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// Names as Azure has them, the write region first.
    regions: Vec<String>,
    database: String,
    containers: Vec<Container>,
    /// Physical partitions of each container.
    partitions: u32,
    /// How much later than its own region every other one has a write.
    #[serde(default)]
    replication_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    name: String,
    partition_key: String,
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: cosmos_emulator ACCOUNT.json")?;
    let account: Account = serde_json::from_slice(&std::fs::read(path)?)?;
    let mut listeners = Vec::new();
    let mut regions = Vec::new();
    for name in &account.regions {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = Url::parse(&format!("http://127.0.0.1:{}", listener.local_addr()?.port()))?;
        regions.push(VirtualRegion::new(name, url.clone()));
        listeners.push((listener, url));
    }
    let replication = match account.replication_ms {
        0 => ReplicationConfig::immediate(),
        delay => ReplicationConfig::fixed(Duration::from_millis(delay)),
    };
    let config = VirtualAccountConfig::new(regions)?
        .with_consistency(ConsistencyLevel::Session)
        .with_replication_config(replication);
    let emulator = InMemoryEmulatorHttpClient::new(config);
    let store = emulator.store();
    store.create_database(&account.database);
    for it in account.containers {
        let key = PartitionKeyDefinition::new(vec![it.partition_key.into()]);
        let config = ContainerConfig::new().with_partition_count(account.partitions).build()?;
        store.create_container_with_config(&account.database, &it.name, key, config);
    }
    let service = Arc::new(serve::Service::new(emulator));
    for (listener, url) in listeners {
        tokio::spawn(serve::serve(listener, Some(url), Arc::clone(&service)));
    }
    let account = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("ready http://{}/", account.local_addr()?);
    tokio::spawn(serve::serve(account, None, Arc::clone(&service)));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{}", orders::obey(&service, &line).await?);
    }
    Ok(())
}
