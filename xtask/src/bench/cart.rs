//! Writing to a cart, one write after the other, each durable before it is answered.
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use super::{
    Effort, median, percentile,
    server::Handler,
    table::{Table, Unit, Wanted},
};
use crate::failure::Failure;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn measure(handler: &Handler, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let agent: Agent = Agent::config_builder().timeout_global(Some(ANSWER_WITHIN)).build().into();
    let cart = open(&agent, handler)?;
    let line = format!("{}/lines/{}", cart.path, handler.sku);
    let (mut took, mut operations) = (Vec::new(), Vec::new());
    for turn in 0..=effort.writes {
        let body = json!({ "quantity": 1 + turn % 3 });
        let start = Instant::now();
        let answer = agent.put(handler.server.url(&line)).header("x-cart-token", &cart.token).send_json(&body);
        let mut answer = answer.map_err(|err| Failure::new(format!("PUT {line}: {err}")))?;
        answer.body_mut().read_to_vec().map_err(|err| Failure::new(format!("PUT {line}: {err}")))?;
        // The first write fills the cache of products and is not counted.
        if turn > 0 {
            took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            let timing = answer.headers().get("server-timing").and_then(|it| it.to_str().ok()).unwrap_or_default();
            operations.push(Store::read(timing).ok_or_else(|| {
                Failure::new(format!("the handler does not count store operations: Server-Timing is {timing:?}"))
            })?);
        }
    }
    table.shown("cart write: half take no longer than", percentile(took.clone(), 50), Unit::Milliseconds);
    table.shown("cart write: 99 of 100 take no longer than", percentile(took, 99), Unit::Milliseconds);
    let usual = |count: fn(&Store) -> u64| median(operations.iter().map(count).collect());
    let (one, none) = (Wanted::AtMost(1), Wanted::AtMost(0));
    table.promised("cart write: documents read", usual(|it| it.reads), Unit::Count, one, Wanted::Nothing);
    table.promised("cart write: batches written", usual(|it| it.writes), Unit::Count, one, Wanted::Nothing);
    table.promised("cart write: queries", usual(|it| it.queries), Unit::Count, none, Wanted::Nothing);
    // Entries of the cache live for some seconds, so now and then a write reads the product anew.
    let dearer = operations.iter().filter(|it| it.reads > 1 || it.writes > 1 || it.queries > 0).count();
    let what = format!("cart writes of {} that cost more, to read the product anew", effort.writes);
    table.shown(&what, u64::try_from(dearer).unwrap_or(u64::MAX), Unit::Count);
    Ok(())
}

struct Cart {
    path: String,
    token: String,
}

fn open(agent: &Agent, handler: &Handler) -> Result<Cart, Failure> {
    let refused = |err: ureq::Error| Failure::new(format!("POST /api/v1/carts: {err}"));
    let mut answer = agent.post(handler.server.url("/api/v1/carts")).send_json(json!({})).map_err(refused)?;
    let cart: Value = answer.body_mut().read_json().map_err(refused)?;
    let text = |name: &str| {
        let found = cart[name].as_str().map(str::to_owned);
        found.ok_or_else(|| Failure::new(format!("a cart has no {name}: {cart}")))
    };
    Ok(Cart { path: format!("/api/v1/carts/{}", text("id")?), token: text("token")? })
}

/// Store operations of one request, as the handler counts them in local mode.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Store {
    reads: u64,
    writes: u64,
    queries: u64,
}

impl Store {
    /// From `store;desc="reads=1 writes=1 queries=0"`.
    fn read(header: &str) -> Option<Store> {
        let counts = header.split("desc=\"").nth(1)?.split('"').next()?;
        let count = |name: &str| {
            let pair = counts.split(' ').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
            pair.and_then(|it| it.parse().ok())
        };
        Some(Store { reads: count("reads")?, writes: count("writes")?, queries: count("queries")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_operations_are_read_from_the_header() {
        let counted = Store::read("store;desc=\"reads=1 writes=2 queries=0\"").unwrap();
        assert_eq!(counted, Store { reads: 1, writes: 2, queries: 0 });
        assert!(Store::read("").is_none());
        assert!(Store::read("store;desc=\"reads=1\"").is_none());
    }
}
