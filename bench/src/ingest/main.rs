//! Batches of the hub through `ingest_clicks`, from the host's envelope to what is kept in a folder: this program plays
//! the host and answers itself, all on one thread, so that both sides are in the figure.
//!
//! Prints one JSON object: clicks in a second where every click has room in its minute, and where all come in one minute,
//! far more than it has room for. What must stay true: no two batches are the same, and every click of them is kept.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use bench::alone;
use offpeak::{
    functions::ROOMS,
    shared::{
        adapters::{
            http_client::HttpClient,
            memory::MemoryDocuments,
            memory_cache::MemoryCache,
            object_storage::{PATIENCE, Place, StoredObjects},
            oidc::Oidc,
            system::SystemClock,
        },
        app::App,
        documents::clicks::event::text,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::{
            Shop,
            clicks::{
                ClickEvent, Clicks, What, batches,
                live::{CLICKS_MAX, LastHour, MINUTE_MAX},
            },
        },
        ports::{Ports, clock::Clock},
    },
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

/// Events of a batch: what host.json lets the host hand over at once.
const BATCH: u64 = 256;
/// Clicks of an event: what a storefront sends at once.
const CLICKS: u64 = 5;
const PARTITIONS: u64 = 4;
const ITEMS: u64 = 20_000;

/// Batches that a minute of a partition has room for.
const ROOM: u64 = MINUTE_MAX as u64 / (BATCH * CLICKS);
/// A noon.
const START: i64 = 1_800_014_400;

/// Moved by hand, so that a turn may take hours of the shop's time.
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let times: u64 = std::env::args().nth(1).ok_or("usage: ingest BATCHES")?.parse()?;
    let roomy = turn(times, ROOM * PARTITIONS).await?;
    let crowded = turn(times, u64::MAX).await?;
    println!("{}", json!({ "clicks": times * BATCH * CLICKS, "perSecond": roomy, "perSecondInOneMinute": crowded }));
    Ok(())
}

/// Clicks in a second, with so many batches in each minute of the shop's clock.
async fn turn(times: u64, a_minute: u64) -> Result<u64, Box<dyn Error>> {
    let (folder, system) = (tempfile::tempdir()?, Arc::new(SystemClock));
    let clock = Arc::new(HandClock(AtomicI64::new(START)));
    let place = Place::Folder(folder.path().to_owned());
    let objects = Arc::new(StoredObjects::new(place, HttpClient::default(), PATIENCE));
    let documents = Arc::new(MemoryDocuments::new(system.clone()));
    let alone = alone::ports(documents, Arc::new(MemoryCache::new(system.clone())), system)?;
    let ports = Ports { objects, clock: clock.clone(), ..alone };
    let identity = Arc::new(Oidc::new(HttpClient::default(), "http://127.0.0.1:9", "bench"));
    let app = Arc::new(App::new(Shop::new(ports.clone()), identity));
    let listener = bind(0, std::time::Duration::ZERO).await?;
    let address = listener.local_addr()?;
    let table = Arc::new(Table::new(ROOMS, "api")?);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        serve(listener, table, app, Limits::default()).await;
    });

    let when = |batch: u64| START + i64::try_from(batch / a_minute).unwrap_or_default() * 60;
    let batches = (0..times).map(|it| envelope(it, when(it))).collect::<Result<Vec<String>, _>>()?;
    let mut host = BufReader::new(TcpStream::connect(address).await?);
    let start = Instant::now();
    for (batch, number) in batches.iter().zip(0..) {
        clock.0.store(when(number), Ordering::Relaxed);
        invoke(&mut host, batch).await?;
    }
    let took = start.elapsed();
    let clicks = times * BATCH * CLICKS;
    check(&ports, clicks, a_minute <= ROOM * PARTITIONS).await?;
    Ok(u64::try_from(u128::from(clicks) * 1_000_000_000 / took.as_nanos().max(1))?)
}

/// Every click is kept; and where there is room for it, the last hour is as full as a process lets it be.
async fn check(ports: &Ports, clicks: u64, has_room: bool) -> Result<(), Box<dyn Error>> {
    let kept = kept(ports).await?;
    if kept != clicks {
        return Err(format!("{kept} of {clicks} clicks were kept").into());
    }
    let mut hour = LastHour::default();
    hour.refresh(ports).await?;
    let live: usize = hour.segments().map(|it| it.clicks.len()).sum();
    let expected = CLICKS_MAX.min(usize::try_from(clicks)?).saturating_sub(MINUTE_MAX);
    if has_room && live < expected {
        return Err(format!("{live} clicks are in the last hour, of {clicks}").into());
    }
    Ok(())
}

/// A batch as the host hands it over.
fn envelope(number: u64, at: i64) -> Result<String, Box<dyn Error>> {
    let (first, at) = (number / PARTITIONS * BATCH, u32::try_from(at)?);
    let bodies: Result<Vec<String>, _> = (0..BATCH).map(|it| event(number * BATCH + it, at)).collect();
    let numbers: Vec<u64> = (first..first + BATCH).collect();
    let data = json!({ "events": serde_json::to_string(&bodies?)? });
    let metadata = json!({
        "SequenceNumberArray": serde_json::to_string(&numbers)?,
        "PartitionContext": { "PartitionId": (number % PARTITIONS).to_string() },
    });
    Ok(json!({ "Data": data, "Metadata": metadata }).to_string())
}

fn event(session: u64, at: u32) -> Result<String, serde_json::Error> {
    let sku = |step: u64| format!("SKU-{:05}", (session * 7_919 + step * 104_729) % ITEMS);
    let events = (0..CLICKS).map(|step| ClickEvent { at, what: What::View { sku: sku(step) } }).collect();
    text(Clicks { session, consent: true, events })
}

async fn invoke(host: &mut BufReader<TcpStream>, body: &str) -> Result<(), Box<dyn Error>> {
    let head = format!(
        "POST /ingest_clicks HTTP/1.1\r\nHost: handler\r\nContent-Type: application/json\r\n\
         X-Azure-Functions-InvocationId: bench\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    host.get_mut().write_all(head.as_bytes()).await?;
    host.get_mut().write_all(body.as_bytes()).await?;
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        host.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if status.is_empty() {
            line.clone_into(&mut status);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut answer = vec![0; length];
    host.read_exact(&mut answer).await?;
    if !status.contains(" 200 ") || serde_json::from_slice::<Value>(&answer).is_err() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(())
}

async fn kept(ports: &Ports) -> Result<u64, Box<dyn Error>> {
    let mut kept = 0;
    for name in batches::of_day(ports, ports.clock.now().date()).await? {
        for clicks in batches::read(ports, &name).await? {
            kept += u64::try_from(clicks.events.len())?;
        }
    }
    Ok(kept)
}
