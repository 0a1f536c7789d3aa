//! An object store that is far away: what Azurite on this machine holds, each answer 20 ms later and all bodies together
//! at 50 MB a second. First it publishes a small and a whole model there, as the shop does.
//!
//! Prints one JSON object and serves until it is ended. What must stay true: nothing passes that is not an answer of
//! Azurite's, and its own time comes on top.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{
    error::Error,
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{alone, far};
use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        memory::MemoryDocuments,
        memory_cache::NoCache,
        object_storage::{Account, Credential, PATIENCE, Place, StoredObjects},
        system::SystemClock,
    },
    operations::{
        publications::{Publication, current, open, publish},
        recommendations::{FIRST, MODEL},
    },
    ports::{Ports, objects::ObjectName},
};
use serde_json::json;
use tokio::net::TcpListener;

const CONTAINER: &str = "offpeak";
/// The one that every emulator has. Source: Azurite, "Default Storage Account".
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// What that key signs.
const SIGNED: &str = "sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=9999-12-31T00%3A00%3A00Z&spr=https%2Chttp\
                      &sig=rj4lWSpj9OTKaFtdCJktBLyV4BwJ8zoyYx9ejdH5drg%3D";
/// Bytes that are handed over at once.
const CHUNK: usize = 1024 * 1024;
/// Times that Azurite alone is asked for the small model.
const READS: usize = 9;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [azurite, first, whole] = words.as_slice() else { return Err("usage: far_objects AZURITE FIRST MODEL".into()) };
    let client = HttpClient::default();
    make_container(&client, azurite).await?;
    let account = Account {
        endpoint: azurite.parse()?,
        container: CONTAINER.to_owned(),
        credential: Credential::Key(KEY.to_owned()),
    };
    let clock = Arc::new(SystemClock);
    let objects = Arc::new(StoredObjects::new(Place::Azure(account), client.clone(), PATIENCE));
    let ports = alone::ports(Arc::new(MemoryDocuments::new(clock.clone())), Arc::new(NoCache), clock)?;
    let ports = Ports { objects, ..ports };
    let first = put(&ports, FIRST, Path::new(first)).await?;
    let whole = put(&ports, MODEL, Path::new(whole)).await?;
    let mut own = Vec::new();
    for _ in 0..READS {
        own.push(read(&ports, FIRST).await?);
    }
    own.sort_unstable();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, path) = (listener.local_addr()?, azurite.parse::<url::Url>()?.path().to_owned());
    let said = json!({
        "first": name(&first), "firstBytes": first.bytes,
        "whole": name(&whole), "wholeBytes": whole.bytes,
        "ownUs": u64::try_from(own[READS / 2].as_micros())?,
        "settings": {
            "OFFPEAK_OBJECTS": "azure",
            "OFFPEAK_OBJECTS_ENDPOINT": format!("http://{address}{path}"),
            "OFFPEAK_OBJECTS_CONTAINER": CONTAINER,
            "OFFPEAK_OBJECTS_KEY": KEY,
        },
    });
    println!("{said}");
    far::serve(&listener, azurite.trim_end_matches(&path), client).await
}

async fn make_container(client: &HttpClient, azurite: &str) -> Result<(), Box<dyn Error>> {
    let url = format!("{azurite}/{CONTAINER}?restype=container&{SIGNED}");
    let answer = client.get()?.put(url).header("content-length", "0").send().await?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("no container: {status}").into()) }
}

async fn put(ports: &Ports, series: &str, file: &Path) -> Result<Publication, Box<dyn Error>> {
    let content = Bytes::from(
        tokio::task::spawn_blocking({
            let file = file.to_owned();
            move || std::fs::read(file)
        })
        .await??,
    );
    let mut publishing = publish(ports, &ObjectName::parse(series)?).await?;
    for from in (0..content.len()).step_by(CHUNK) {
        publishing.write(content.slice(from..content.len().min(from + CHUNK))).await?;
    }
    Ok(publishing.finish().await?)
}

/// How long its pointer and its last byte take.
async fn read(ports: &Ports, series: &str) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let publication = current(ports, &ObjectName::parse(series)?).await?.ok_or("nothing is published")?;
    let mut object = open(ports, &publication).await?;
    while object.body.chunk().await?.is_some() {}
    Ok(start.elapsed())
}

fn name(of: &Publication) -> &str {
    of.object.as_str().rsplit('/').next().unwrap_or_default()
}
