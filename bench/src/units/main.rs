//! What one placed order costs in request units of Cosmos DB, step by step, as an estimate: the shop's own operations
//! on a store in memory that says what each call would take.
//!
//! Prints one JSON object: thousandths of a unit per step and in all, of an order of two lines.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use bench::{
    buying::{self, Buyer, Taken},
    metered::{Cost, Metered},
};
use offpeak::shared::{
    adapters::{memory::MemoryDocuments, system::SystemClock},
    operations::{
        Shop,
        complete_checkout::resume_checkout,
        send_email::{OrderMail, send_order_mail},
    },
};
use serde_json::{Value, json};

type Meter = Metered<MemoryDocuments>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let meter = Arc::new(Metered::new(MemoryDocuments::new(Arc::new(SystemClock))));
    let bus = Arc::new(Taken { sent: Some(Mutex::default()) });
    let shop = buying::open(meter.clone(), bus.clone(), folder.path()).await?;
    // What a process remembers is there when a second buyer comes; the first one pays for it and is shown too.
    let cold = order(&shop, &meter, &bus, 1).await?;
    let warm = order(&shop, &meter, &bus, 8).await?;
    println!("{}", json!({ "first": told(&cold), "order": told(&warm) }));
    Ok(())
}

/// One order from an empty cart until nothing is left to do for it.
async fn order(shop: &Shop, meter: &Meter, bus: &Taken, n: usize) -> Result<Vec<(&'static str, Cost)>, Box<dyn Error>> {
    meter.take();
    let mut steps = Vec::new();
    let buyer = Buyer::arrive(shop, n).await?;
    steps.push(("create a cart", meter.take()));
    for line in 0..2 {
        buyer.add(shop, line).await?;
        steps.push(("add a line", meter.take()));
    }
    let total = buyer.start(shop).await?;
    steps.push(("start the checkout", meter.take()));
    buyer.complete(shop, total).await?;
    steps.push(("complete it", meter.take()));
    let sent = bus.sent.as_ref().map(|it| std::mem::take(&mut *it.lock().unwrap_or_else(PoisonError::into_inner)));
    for message in sent.unwrap_or_default() {
        let body: Value = serde_json::from_str(&message.body)?;
        match message.destination.as_str() {
            "checkouts" => {
                let name = body["name"].as_str().unwrap_or_default();
                resume_checkout(shop, buyer.cart.checkout(), name).await?;
            }
            "mail" => send_order_mail(shop, OrderMail::Confirmation, buyer.cart.checkout().order()).await?,
            _ => continue,
        }
        let step = if message.destination == "mail" { "send the mail" } else { "look after it" };
        if body.is_object() {
            steps.push((step, meter.take()));
        }
    }
    Ok(steps)
}

fn told(steps: &[(&str, Cost)]) -> Value {
    let of = |what: fn(&Cost) -> u64| steps.iter().map(|(_, it)| what(it)).sum::<u64>();
    let each: Vec<_> = steps
        .iter()
        .map(|(step, cost)| {
            json!({
                "step": step, "calls": cost.calls, "reads": cost.reads, "writes": cost.writes,
                "queries": cost.queries, "total": cost.total(), "lines": cost.lines
            })
        })
        .collect();
    json!({ "steps": each, "total": of(|it| it.total()), "replacedTwice": of(|it| it.total() + it.replaced) })
}
