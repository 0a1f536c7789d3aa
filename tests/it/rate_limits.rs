//! Who asks too much is turned away, by address and by token, over all processes; and nobody else.
use std::sync::Arc;

use offpeak::{
    functions::ROOMS,
    shared::{
        adapters::memory_cache::MemoryCache,
        app::{App, RateLimits},
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::{Shop, rate_limits::PerMinute},
        ports::{Ports, cache::Cache, clock::Clock},
    },
};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    cache_contract::{
        redis::{cache_at, connected},
        server::Redis,
        soon,
    },
    catalogue::stand::{Nowhere, Stand},
    documents_contract::HandClock,
};

const GOODS: &str = "sku,title,price\njug,Enamel jug,18.50\n";
const ADA: &str = "203.0.113.7";
const BOB: &str = "203.0.113.8";
const PER_MINUTE: PerMinute = PerMinute { read: 6, write: 4, guess: 2 };
/// What an address may do.
const ADDRESS: usize = 5;

/// Processes of one shop, on sockets that end with the test.
struct Door {
    stand: Stand,
    clock: Arc<HandClock>,
    client: Client,
    serving: JoinSet<()>,
}

impl Door {
    async fn new() -> Door {
        let clock = HandClock::new();
        let memory = offpeak::shared::adapters::memory::MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let stand = Stand::on(Arc::new(memory), Arc::clone(&clock) as Arc<dyn Clock>);
        stand.load(GOODS).await;
        Door { stand, clock, client: Client::new(), serving: JoinSet::new() }
    }

    /// A process with this cache; answers where it listens.
    async fn process(&mut self, cache: Arc<dyn Cache>) -> String {
        let shop = Shop::new(Ports { cache, ..self.stand.ports.clone() });
        let mut app = App::new(shop, Arc::new(Nowhere));
        app.rate_limits = Some(RateLimits { per_minute: PER_MINUTE, hops: 1 });
        let listener = bind(0, std::time::Duration::ZERO).await.unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        self.serving.spawn(async move {
            serve(listener, table, Arc::new(app), Limits::default()).await;
        });
        url
    }

    async fn alone(&mut self) -> String {
        let cache = MemoryCache::new(Arc::clone(&self.clock) as Arc<dyn Clock>);
        self.process(Arc::new(cache)).await
    }

    /// The status, and `Retry-After` of a refusal.
    async fn ask(&self, url: &str, what: &str, from: &str, token: Option<&str>) -> (u16, Option<String>) {
        let (method, path) = what.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{url}{path}")).header("x-forwarded-for", from);
        if let Some(token) = token {
            request = request.header("x-cart-token", token);
        }
        let answer = request.body("no JSON").send().await.unwrap();
        let after = answer.headers().get("retry-after").map(|it| it.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        if status == 429 {
            let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(problem["code"], "too_many_attempts");
        }
        (status, after)
    }

    /// How many of so many come through.
    async fn through(&self, url: &str, what: &str, times: usize, from: &str, token: Option<&str>) -> usize {
        let mut through = 0;
        for _ in 0..times {
            through += usize::from(self.ask(url, what, from, token).await.0 != 429);
        }
        through
    }
}

const READ: &str = "GET /v1/products/enamel-jug";
const WRITE: &str = "POST /v1/carts/x/merge";
const GUESS: &str = "PUT /v1/carts/x/coupons/SUMMER";
const FREE: [&str; 2] = ["GET /health/live", "POST /v1/payments/webhooks/sandbox"];

#[tokio::test]
async fn an_address_has_its_share_of_each_kind_and_the_next_minute_a_new_one() {
    let mut door = Door::new().await;
    let url = door.alone().await;
    // A second after a full minute began.
    door.clock.advance(1);
    assert_eq!(door.through(&url, READ, 40, ADA, None).await, 6 * ADDRESS);
    assert_eq!(door.ask(&url, READ, ADA, None).await, (429, Some("59".to_owned())));
    door.clock.advance(40);
    assert_eq!(door.ask(&url, READ, ADA, None).await, (429, Some("19".to_owned())));
    assert_eq!(door.through(&url, WRITE, 30, ADA, None).await, 4 * ADDRESS, "changes are counted apart");
    assert_eq!(door.ask(&url, READ, BOB, None).await.0, 200, "others are not turned away");
    assert_eq!(door.ask(&url, READ, &format!("{BOB}, {ADA}"), None).await.0, 429, "whatever one says one's address is");
    for free in FREE {
        assert_eq!(door.through(&url, free, 60, ADA, None).await, 60, "{free}");
    }
    door.clock.advance(19);
    assert_eq!(door.ask(&url, READ, ADA, None).await.0, 200);
}

#[tokio::test]
async fn a_token_has_less_than_its_address() {
    let mut door = Door::new().await;
    let url = door.alone().await;
    assert_eq!(door.through(&url, WRITE, 6, ADA, Some("one")).await, 4);
    assert_eq!(door.through(&url, WRITE, 6, BOB, Some("one")).await, 0, "from anywhere");
    assert_eq!(door.through(&url, WRITE, 6, BOB, Some("two")).await, 4);
    assert_eq!(door.through(&url, GUESS, 6, BOB, Some("two")).await, 2, "guesses are counted apart, and fewer");
    // Tokens that are made up on the way do not help.
    let mut through = 0;
    for number in 0..40 {
        through += door.through(&url, GUESS, 1, "198.51.100.1", Some(&number.to_string())).await;
    }
    assert_eq!(through, 2 * ADDRESS);
}

#[tokio::test]
async fn processes_count_together_and_each_alone_when_redis_is_gone() {
    let mut door = Door::new().await;
    let mut redis = Redis::start();
    let mut urls = Vec::new();
    for _ in 0..2 {
        let cache = connected(cache_at(&redis.url())).await;
        urls.push(door.process(cache).await);
    }
    assert_eq!(door.through(&urls[0], WRITE, 6, ADA, Some("one")).await, 4);
    // The other one hears of it soon; each question counts, so it never takes more than a share of its own.
    soon(|| async { door.ask(&urls[1], WRITE, ADA, Some("one")).await.0 == 429 }).await;

    redis.kill();
    for url in &urls {
        assert_eq!(door.through(url, WRITE, 6, BOB, Some("two")).await, 4, "each by itself");
    }
}
