//! The Cosmos DB emulator that the SDK's authors test with, over HTTP on this machine: what the document port's
//! adapter is held to where there is no account. Test-only.
//!
//! `cosmos_emulator ACCOUNT.json` reads regions and containers, binds one port per region on 127.0.0.1, prints
//! `ready URL…`, one URL per region, and serves until its standard input ends.
use std::{error::Error, io::Read, sync::Arc};

use azure_core::http::{
    Method, Request,
    headers::{HeaderName, HeaderValue},
};
use azure_data_cosmos_driver::{
    in_memory_emulator::{
        ConsistencyLevel, ContainerConfig, InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
    },
    models::PartitionKeyDefinition,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde::Deserialize;
use tokio::net::TcpListener;
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
    let config = VirtualAccountConfig::new(regions)?.with_consistency(ConsistencyLevel::Session);
    let emulator = Arc::new(InMemoryEmulatorHttpClient::new(config));
    let store = emulator.store();
    store.create_database(&account.database);
    for it in account.containers {
        let key = PartitionKeyDefinition::new(vec![it.partition_key.into()]);
        let config = ContainerConfig::new().with_partition_count(account.partitions).build()?;
        store.create_container_with_config(&account.database, &it.name, key, config);
    }
    let urls: Vec<_> = listeners.iter().map(|(_, url)| url.to_string()).collect();
    for (listener, url) in listeners {
        tokio::spawn(serve(listener, url, Arc::clone(&emulator)));
    }
    println!("ready {}", urls.join(" "));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn serve(listener: TcpListener, url: Url, emulator: Arc<InMemoryEmulatorHttpClient>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).ok();
        let (url, emulator) = (url.clone(), Arc::clone(&emulator));
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, url.clone(), Arc::clone(&emulator)));
            if let Err(err) =
                auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
            {
                eprintln!("cosmos_emulator: {err:?}");
            }
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    url: Url,
    emulator: Arc<InMemoryEmulatorHttpClient>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let (head, body) = request.into_parts();
    let target = url.join(head.uri.path_and_query().map_or("/", |it| it.as_str()))?;
    let mut asked = Request::new(target, head.method.as_str().parse::<Method>()?);
    for (name, value) in &head.headers {
        let (name, value) = (name.as_str().to_owned(), value.to_str()?.to_owned());
        asked.headers_mut().insert(HeaderName::from(name), HeaderValue::from(value));
    }
    asked.set_body(body.collect().await?.to_bytes().to_vec());
    let answer = emulator.execute_request(&asked).await?.try_into_raw_response().await?;
    let mut response = Response::builder().status(u16::from(answer.status()));
    for (name, value) in answer.headers().iter() {
        response = response.header(name.as_str(), value.as_str());
    }
    Ok(response.body(Full::new(Bytes::copy_from_slice(answer.body())))?)
}
