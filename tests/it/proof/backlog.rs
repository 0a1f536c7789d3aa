//! P20: a backlog of 100,000 events, on a store with a disk, drains, each purchase's events in their order.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use offpeak::shared::{
    adapters::sqlite::SqliteDocuments,
    documents::purchases::add_event,
    operations::{Shop, outbox::relay_outbox},
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        clock::Clock,
        documents::{BATCH_MAX, Container, Documents as _},
    },
};
use offpeak_domain::ids::CheckoutId;
use ulid::Ulid;

use super::{chance::Chance, planted::Planted, time::in_virtual_time, world::World};
use crate::documents_contract::HandClock;

const PURCHASES: u64 = 2_000;
/// Of each purchase.
const EVENTS: u64 = 50;

/// Acknowledges most of them, each after a while.
struct SlowBus {
    sent: Mutex<Vec<(String, u64)>>,
    chance: Chance,
}

#[async_trait]
impl Bus for SlowBus {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        for _ in 0..self.chance.below(4) {
            tokio::task::yield_now().await;
        }
        if self.chance.in_1000(20) {
            return Err(BusError::Unavailable("no answer came".into()));
        }
        let (session, number) = message.id.split_once('-').unwrap();
        self.sent.lock().unwrap().push((session.to_owned(), number.parse().unwrap()));
        Ok(())
    }
}

fn event(session: &str, number: u64) -> Message {
    Message {
        destination: "orders".to_owned(),
        id: format!("{session}-{number}"),
        session: Some(session.to_owned()),
        subject: "order.changed".to_owned(),
        scheduled: None,
        body: "{}".to_owned(),
    }
}

/// Every purchase has its events, a second apart.
async fn fill(store: &SqliteDocuments, clock: &HandClock) {
    let now = clock.now();
    let purchase = |n: u64| async move {
        let id = CheckoutId::new(Ulid::from_parts(1, u128::from(n)));
        let rows = (0..EVENTS).map(|number| {
            // Those of two purchases or three stand between each other.
            let at = now + time::Duration::seconds(i64::try_from(n * EVENTS / 2 + number).unwrap());
            add_event(id, &event(&format!("s{n}"), number), at).unwrap()
        });
        let rows: Vec<_> = rows.collect();
        assert!(rows.len() <= BATCH_MAX);
        store.write(Container::Purchases, &id.to_string(), rows).await.unwrap();
    };
    stream::iter((0..PURCHASES).map(purchase)).buffer_unordered(64).collect::<Vec<()>>().await;
    clock.advance(i64::try_from(PURCHASES * EVENTS).unwrap());
}

/// The other ports are those of a world that has nothing to do with it.
fn shop(store: Arc<SqliteDocuments>, clock: Arc<HandClock>, bus: Arc<SlowBus>) -> Shop {
    let other =
        in_virtual_time(async { World::new(1, Planted::Nothing, super::broker::Manners::GOOD, &[]).await.calm() });
    Shop::without_memory(Ports { documents: store, clock, bus, ..other.app.shop.ports.clone() })
}

#[test]
fn p20_a_backlog_of_100000_drains_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let open = || SqliteDocuments::open(&folder.path().join("store.db"), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let store = Arc::new(open());
    let bus = Arc::new(SlowBus { sent: Mutex::default(), chance: Chance::new(1) });
    let shop = shop(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&bus));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        fill(&store, &clock).await;
        let total = usize::try_from(PURCHASES * EVENTS).unwrap();
        let mut sent = 0;
        // A sweep that finds the broker away ends; the next tick goes on.
        for _ in 0..500 {
            sent += relay_outbox(&shop).await.unwrap();
            if sent >= total {
                break;
            }
        }
        assert_eq!(relay_outbox(&shop).await.unwrap(), 0, "{sent} of {total} were sent");
    });
    let sent = bus.sent.lock().unwrap();
    let mut next: HashMap<&str, u64> = HashMap::new();
    for (session, number) in sent.iter() {
        let expected = next.entry(session).or_default();
        assert!(*number <= *expected, "{session}: {number} came before {expected}");
        *expected = (*expected).max(number + 1);
    }
    assert_eq!(next.len() as u64, PURCHASES);
    assert!(next.values().all(|it| *it == EVENTS), "an event was lost");
}
