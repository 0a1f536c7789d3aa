//! One document of Cosmos DB, read one time after the other: by the shop's adapter, and by the bare SDK with the same
//! options, in turns.
//!
//! Prints one JSON object. What must stay true: both read the same bytes from the same account, which is another
//! process, and only the processor time of this one counts.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{error::Error, fs, sync::Arc};

use azure_data_cosmos::{
    AccountReference, ContainerClient, CosmosClient, RoutingStrategy,
    options::{ItemReadOptions, OperationOptionsBuilder, ReadConsistencyStrategy},
};
use offpeak::shared::{
    adapters::{
        cosmos::{Account, CosmosDocuments, Credential},
        system::SystemClock,
    },
    ports::documents::{Container, Documents as _, Write},
};
use serde_json::{Value, json};
use url::Url;

const DATABASE: &str = "offpeak";
const NAME: &str = "cart_01K5ABCDEFGHJKMNPQRSTVWXYZ";
/// The account's turns; the first is not counted.
const ROUNDS: usize = 9;

/// A cart of some 1 KB.
fn body() -> Value {
    let lines = (0..8).map(|n| json!({ "sku": format!("MUG-{n}"), "quantity": n + 1, "title": "A mug with a handle" }));
    json!({ "schema": "cart/1", "lines": lines.collect::<Vec<_>>(), "email": "ada@example.com", "note": "x".repeat(256) })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, key, times] = words.as_slice() else { return Err("usage: point_reads URL KEY TIMES".into()) };
    let (url, times) = (url.parse::<Url>()?, times.parse::<u64>()?);
    let account = Account {
        endpoint: url.clone(),
        database: DATABASE.to_owned(),
        regions: Vec::new(),
        credential: Credential::Key(key.clone()),
    };
    let ours = CosmosDocuments::new(account, Arc::new(SystemClock));
    ours.write(Container::Carts, NAME, vec![Write::Create { id: NAME.to_owned(), body: body(), ttl: None }]).await?;
    let bare = bare(&url, key).await?;
    let (mut by_us, mut by_sdk) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let before = processor_ns()?;
        for _ in 0..times {
            let found = ours.read(Container::Carts, NAME, NAME).await?.ok_or("the document is gone")?;
            is_it(&found.body)?;
        }
        let between = processor_ns()?;
        for _ in 0..times {
            is_it(&read(&bare).await?["body"])?;
        }
        let after = processor_ns()?;
        if round > 0 {
            by_us.push((between - before) / times);
            by_sdk.push((after - between) / times);
        }
    }
    println!("{}", json!({ "adapterNs": median(by_us), "sdkNs": median(by_sdk) }));
    Ok(())
}

async fn bare(url: &Url, key: &str) -> Result<ContainerClient, Box<dyn Error>> {
    let account = AccountReference::with_authentication_key(url.as_str().parse()?, key.to_owned());
    let client = CosmosClient::builder().build(account, RoutingStrategy::PreferredRegions(Vec::new())).await?;
    Ok(client.database_client(DATABASE.to_owned()).container_client(Container::Carts.name(), None).await?)
}

/// As the adapter reads carts: what was committed last.
async fn read(container: &ContainerClient) -> Result<Value, Box<dyn Error>> {
    let latest = ReadConsistencyStrategy::LatestCommitted;
    let options = OperationOptionsBuilder::new().with_read_consistency_strategy(latest).build();
    let options = ItemReadOptions::default().with_operation_options(options);
    Ok(container.read_item(NAME.to_owned(), NAME, Some(options)).await?.into_model()?)
}

fn is_it(found: &Value) -> Result<(), &'static str> {
    if found["schema"] == "cart/1" { Ok(()) } else { Err("another document was read") }
}

/// Processor time of all threads of this process.
fn processor_ns() -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(sum)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
