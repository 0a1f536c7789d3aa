//! What shoppers do, from the request to the places where recommendations learn from it.
mod collecting;
mod ingesting;
mod objects;

use std::sync::Arc;

use offpeak::shared::{
    adapters::{
        memory::{MemoryDocuments, hub::MemoryHub},
        memory_cache::MemoryCache,
        system::RandomIds,
    },
    documents::clicks::event::text,
    operations::clicks::{ClickEvent, Clicks, What},
    ports::{Ports, cache::Cache, clock::Clock, documents::Documents, hub::Hub},
};

use crate::{catalogue::stand::Stand, documents_contract::HandClock};

/// Ports with a clock, a cache and a hub that can be looked into.
struct World {
    ports: Ports,
    hub: Arc<MemoryHub>,
    clock: Arc<HandClock>,
}

impl World {
    fn new() -> World {
        let (hand, hub) = (HandClock::new(), Arc::new(MemoryHub::default()));
        let clock = Arc::clone(&hand) as Arc<dyn Clock>;
        let documents: Arc<dyn Documents> = Arc::new(MemoryDocuments::new(Arc::clone(&clock)));
        let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(Arc::clone(&clock)));
        let stand = Stand::on(documents, clock).ports;
        let ports = Ports { cache, ids: Arc::new(RandomIds), hub: Arc::clone(&hub) as Arc<dyn Hub>, ..stand };
        World { ports, hub, clock: hand }
    }

    fn now(&self) -> u32 {
        self.ports.clock.now().unix_timestamp().try_into().unwrap()
    }
}

fn view(sku: &str) -> What {
    What::View { sku: sku.to_owned() }
}

/// One event of the hub: what a session saw, a second after another, up to `at`.
fn event(session: u64, at: u32, skus: &[&str]) -> Vec<u8> {
    let first = at - u32::try_from(skus.len()).unwrap() + 1;
    let events = skus.iter().zip(first..).map(|(sku, at)| ClickEvent { at, what: view(sku) }).collect();
    text(Clicks { session, consent: true, events }).unwrap().into_bytes()
}
