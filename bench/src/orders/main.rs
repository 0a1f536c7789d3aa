//! Places orders from an empty cart to the placed order, many at a time, in one process: the shop's own
//! operations on SQLite, and the sandbox provider with its own durable books, over loopback.
//!
//! Prints one JSON object: orders and seconds, how long an order took, store operations per order.
//! What must stay true: nothing is left out that a buyer's HTTP calls would do, but HTTP itself.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people, with tasks of its own")]
mod provider;

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        memory_cache::MemoryCache,
        object_storage::StoredObjects,
        sandbox_payments::SandboxPayments,
        sqlite::SqliteDocuments,
        system::{RandomIds, SystemClock},
        tax_http::{self, TaxHttp},
    },
    operations::{
        Shop,
        carts::{create_cart, set_cart_line},
        checkouts::{Choices, start_checkout},
        complete_checkout::{CompleteCheckout, Outcome, complete_checkout},
        import_catalogue::{ImportOptions, import_catalogue, rows::Format},
        kept_answers::Rendered,
    },
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        mail::{Letter, Mail, MailError},
    },
};
use offpeak_domain::{
    address::{Address, Email},
    checkout::PaymentChoice,
    money::Currency,
    quantity::Quantity,
    sku::Sku,
};
use serde_json::json;

use bench::counted::Counted;

/// SKUs in the shop; a buyer takes two of them.
const SKUS: usize = 200;
const ON_HAND: i64 = 1_000_000;

/// A broker that takes everything: what is measured ends where a message leaves.
struct Taken;

#[async_trait]
impl Bus for Taken {
    async fn send(&self, _: &Message) -> Result<(), BusError> {
        Ok(())
    }
}

#[async_trait]
impl Mail for Taken {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<usize> = std::env::args().skip(1).map(|it| it.parse()).collect::<Result<_, _>>()?;
    let [buyers, orders] = words[..] else { return Err("usage: orders BUYERS ORDERS".into()) };
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let counted = Arc::new(Counted::new(SqliteDocuments::open(&folder.path().join("store.db"), clock.clone())?));
    let address = provider::serve(folder.path()).await?;
    let payments = SandboxPayments::new(HttpClient::default(), &address, "")?;
    let shop = Arc::new(Shop::new(Ports {
        documents: counted.clone(),
        bus: Arc::new(Taken),
        payments: Arc::new(payments),
        mail: Arc::new(Taken),
        objects: Arc::new(StoredObjects::in_memory()),
        taxes: Arc::new(TaxHttp::new(HttpClient::default(), tax_http::PATIENCE)),
        cache: Arc::new(MemoryCache::new(clock.clone())),
        clock,
        ids: Arc::new(RandomIds),
    }));
    stock_up(&shop).await?;

    run(&shop, buyers, buyers * 4).await?;
    counted.forget();
    let (took, mut each) = run(&shop, buyers, orders).await?;
    each.sort_unstable();
    let at = |percent: usize| each.get(each.len() * percent / 100).map_or(0, |it| it.as_micros());
    let per_order = |count: u64| count * 1000 / u64::try_from(orders).unwrap_or(1).max(1);
    let (reads, writes, queries) = counted.counts();
    println!(
        "{}",
        json!({
            "ordersPerSecond": u64::try_from(orders)? * 1_000_000 / u64::try_from(took.as_micros())?.max(1),
            "p50Us": at(50),
            "p99Us": at(99),
            "readsPer1000": per_order(reads),
            "writesPer1000": per_order(writes),
            "queriesPer1000": per_order(queries),
        })
    );
    Ok(())
}

fn sku(n: usize) -> String {
    format!("SKU-{n:04}")
}

async fn stock_up(shop: &Shop) -> Result<(), Box<dyn Error>> {
    use std::fmt::Write as _;
    let mut csv = String::from("sku,title,price\n");
    for n in 0..SKUS {
        writeln!(csv, "{},Thing {n},{}.99", sku(n), 1 + n % 50)?;
    }
    let currency = Some(Currency::parse("GBP")?);
    let options = ImportOptions { currency, on_hand: Some(ON_HAND), ..ImportOptions::default() };
    let report = Box::pin(import_catalogue(&shop.ports, csv.as_bytes(), Format::Csv, &options)).await?;
    if report.refused > 0 { Err(format!("{report:?}").into()) } else { Ok(()) }
}

/// So many orders, by so many buyers at a time; answers how long all and each of them took.
async fn run(shop: &Arc<Shop>, buyers: usize, orders: usize) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..buyers)
        .map(|_| {
            let (shop, next) = (shop.clone(), next.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= orders {
                        return Ok::<_, String>(took);
                    }
                    let start = Instant::now();
                    Box::pin(place(&shop, n)).await?;
                    took.push(start.elapsed());
                }
            })
        })
        .collect();
    let mut each = Vec::with_capacity(orders);
    for task in tasks {
        each.extend(task.await??);
    }
    Ok((start.elapsed(), each))
}

async fn place(shop: &Shop, n: usize) -> Result<(), String> {
    let said = |err: &dyn std::fmt::Display| format!("order {n}: {err}");
    let (cart, token) = create_cart(shop, None).await.map_err(|err| said(&err))?;
    let cart = cart.cart.id;
    for offset in [0, 7] {
        let sku = Sku::parse(&sku((n + offset) % SKUS)).map_err(|err| said(&err))?;
        let quantity = Quantity::new(1 + u32::try_from(n % 3).unwrap_or(0)).map_err(|err| said(&err))?;
        set_cart_line(shop, cart, &token, &sku, Some(quantity), None).await.map_err(|err| said(&err))?;
    }
    let address = Address::parse("Ada Byron", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB");
    let choices = Choices {
        email: Some(Email::parse(&format!("buyer-{n}@example.org")).map_err(|err| said(&err))?),
        shipping_address: Some(address.map_err(|err| said(&err))?),
        billing_address: None,
        shipping_method: Some("standard".to_owned()),
    };
    let (_, begun) = Box::pin(start_checkout(shop, cart, &token, &choices)).await.map_err(|err| said(&err))?;
    let command = CompleteCheckout {
        checkout: cart.checkout(),
        token,
        idempotency_key: "once".to_owned(),
        expected_total: begun.priced.totals.total,
        payment: PaymentChoice { method: "sandbox_approve".to_owned(), ..PaymentChoice::default() },
    };
    let done = Box::pin(complete_checkout(shop, &command, render)).await.map_err(|err| said(&err))?;
    if done.rendered.status == 200 { Ok(()) } else { Err(said(&String::from_utf8_lossy(&done.rendered.body))) }
}

fn render(outcome: &Outcome) -> Rendered {
    match outcome {
        Outcome::Placed(order) => Rendered { status: 200, body: Bytes::from(order.id.to_string()) },
        other => Rendered { status: 409, body: Bytes::from(format!("{other:?}")) },
    }
}
