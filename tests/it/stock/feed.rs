//! An inventory feed pulled from a small server that behaves, and misbehaves, as the test says.
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    adapters::{http_client::HttpClient, inventory_http::InventoryHttp},
    documents::settings::{STORE, put_settings, read_settings},
    operations::{
        Shop, stock,
        sync_inventory::{SyncError, SyncState, Synced, approve_sync, last_sync, sync_inventory},
    },
    ports::{
        documents::Container,
        inventory::{Feed, FeedBody, FeedError, FeedFormat, Fetched, InventoryFeed},
    },
};
use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Allocation, FeedCaution},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::shelf::{checkout, shop};

/// Answers each request with what is set, then closes.
struct Publisher {
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
    feed: InventoryHttp,
    serving: JoinHandle<()>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Publisher {
    async fn start() -> Publisher {
        Publisher::waited_for(Duration::from_secs(20)).await
    }

    /// Whoever pulls waits so long for each piece.
    #[expect(clippy::disallowed_methods, reason = "a server of its own beside the test")]
    async fn waited_for(patience: Duration) -> Publisher {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stock", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (answers, requests) = (Arc::clone(&answer), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut piece = [0; 1024];
                    match stream.read(&mut piece).await.unwrap() {
                        0 => break,
                        read => request.extend_from_slice(&piece[..read]),
                    }
                }
                requests.lock().await.push(String::from_utf8(request).unwrap());
                let answer: Vec<u8> = Vec::clone(&*answers.lock().await);
                if answer.is_empty() {
                    // Says nothing and keeps the line open.
                    silent.push(stream);
                    continue;
                }
                stream.write_all(&answer).await.ok();
                stream.shutdown().await.ok();
            }
        });
        let feed = InventoryHttp::new(HttpClient::default(), url.parse().unwrap(), patience);
        Publisher { answer, asked, feed, serving }
    }

    async fn says(&self, answer: &str) {
        *self.answer.lock().await = answer.as_bytes().to_vec();
    }

    async fn publishes(&self, etag: &str, csv: &str) {
        let length = csv.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/csv; charset=utf-8\r\netag: \"{etag}\"");
        self.says(&format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{csv}")).await;
    }

    async fn pull(&self, shop: &Shop) -> Result<Synced, SyncError> {
        sync_inventory(shop, &self.feed).await
    }
}

/// Ten SKUs with seven units each.
async fn ten() -> Shop {
    let rows: String = (0..10).map(|it| format!("S{it},Thing {it},1.00\n")).collect();
    shop(&format!("sku,title,price\n{rows}")).await
}

async fn on_hand(shop: &Shop) -> Vec<i64> {
    let mut all = Vec::new();
    for it in 0..10 {
        let sku = Sku::parse(&format!("S{it}")).unwrap();
        all.push(stock::level(&shop.ports, &sku).await.unwrap().unwrap().value.on_hand());
    }
    all
}

/// A feed of ten rows.
fn feed(on_hand: [i64; 10]) -> String {
    let rows: String = on_hand.iter().enumerate().map(|(at, units)| format!("S{at},{units}\n")).collect();
    format!("sku,onHand\n{rows}")
}

#[tokio::test]
async fn a_feed_is_applied_once_and_asked_for_by_its_version() {
    let (shop, publisher) = (ten().await, Publisher::start().await);
    publisher.publishes("v1", &feed([9, 7, 7, 7, 7, 7, 7, 7, 7, 20])).await;
    let Synced::Applied(report) = publisher.pull(&shop).await.unwrap() else { panic!("applied") };
    assert_eq!((report.rows, report.changed, report.large, report.unchanged), (10, 2, 1, 8));
    assert_eq!(on_hand(&shop).await, [9, 7, 7, 7, 7, 7, 7, 7, 7, 20]);
    // What is sold meanwhile is not taken back by the same content, with or without a version.
    let (sku, id): (_, CheckoutId) = (Sku::parse("S0").unwrap(), checkout(1));
    let until = shop.ports.clock.now() + Duration::from_secs(600);
    stock::hold(&shop.ports, &sku, id, 2, 1, until, &Allocation::default()).await.unwrap();
    let parts = stock::claim(&shop.ports, &sku, id, 2, 1, &Allocation::default()).await.unwrap();
    stock::ship(&shop.ports, &sku, id.order(), "parcel", &parts).await.unwrap();
    assert_eq!(publisher.pull(&shop).await.unwrap(), Synced::Unchanged);
    publisher.says("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n").await;
    assert_eq!(publisher.pull(&shop).await.unwrap(), Synced::Unchanged);
    assert_eq!(on_hand(&shop).await[0], 7);
    let asked = publisher.asked.lock().await;
    assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match: \"v1\""), "{asked:?}");
}

#[tokio::test]
async fn a_feed_that_differs_too_much_waits_for_a_person() {
    let (shop, publisher) = (ten().await, Publisher::start().await);
    for (version, levels, reason) in [
        ("v1", [99, 99, 99, 7, 7, 7, 7, 7, 7, 7], "3 of 10 rows differ by more than is usual"),
        ("v2", [0, 0, 7, 7, 7, 7, 7, 7, 7, 7], "2 of 10 rows would leave a shelf empty"),
    ] {
        publisher.publishes(version, &feed(levels)).await;
        let Synced::Held(report) = publisher.pull(&shop).await.unwrap() else { panic!("held") };
        assert_eq!(report.held_because.as_deref(), Some(reason));
        assert!(!report.differences.is_empty());
        assert_eq!(on_hand(&shop).await, [7; 10]);
    }
    assert_eq!(publisher.pull(&shop).await.unwrap(), Synced::Unchanged, "still held");
    let held = last_sync(&shop).await.unwrap().unwrap();
    assert_eq!(held.value.state, SyncState::Held);
    approve_sync(&shop, "another", None, "ada").await.unwrap_err();
    approve_sync(&shop, &held.value.fingerprint, Some("stale"), "ada").await.unwrap_err();
    approve_sync(&shop, &held.value.fingerprint, Some(&held.etag.0), "ada").await.unwrap();
    // Other content than was approved is held again.
    publisher.publishes("v3", &feed([0, 0, 0, 7, 7, 7, 7, 7, 7, 7])).await;
    assert!(matches!(publisher.pull(&shop).await.unwrap(), Synced::Held(_)));
    let held = last_sync(&shop).await.unwrap().unwrap();
    assert_eq!(held.value.approved, None);
    approve_sync(&shop, &held.value.fingerprint, None, "ada").await.unwrap();
    assert!(matches!(publisher.pull(&shop).await.unwrap(), Synced::Applied(_)));
    assert_eq!(on_hand(&shop).await, [0, 0, 0, 7, 7, 7, 7, 7, 7, 7]);
}

/// A store may be more careful, or less, than the default.
#[tokio::test]
async fn how_careful_a_store_is_with_its_feed_is_a_setting() {
    for (caution, held) in [
        (FeedCaution::default(), true),
        (FeedCaution { large_percent: 30, ..FeedCaution::default() }, false),
        (FeedCaution { usual_units: 100, ..FeedCaution::default() }, false),
        (FeedCaution { usual_units: 0, usual_percent: 0, large_percent: 29, zeroed_percent: 100 }, true),
    ] {
        let (shop, publisher) = (ten().await, Publisher::start().await);
        let documents = shop.ports.documents.as_ref();
        let mut seen = read_settings(documents).await.unwrap().unwrap();
        seen.value.stock.feed = caution;
        let write = put_settings(&seen.value, Some(&seen.etag)).unwrap();
        documents.write(Container::Stores, STORE, vec![write]).await.unwrap();
        publisher.publishes("v1", &feed([99, 99, 99, 7, 7, 7, 7, 7, 7, 7])).await;
        let synced = publisher.pull(&shop).await.unwrap();
        assert_eq!(matches!(synced, Synced::Held(_)), held, "{caution:?}: {synced:?}");
        assert_eq!(on_hand(&shop).await[0], if held { 7 } else { 99 });
    }
}

#[tokio::test]
async fn a_feed_that_is_gone_slow_halved_or_elsewhere_changes_nothing() {
    let (shop, publisher) = (ten().await, Publisher::waited_for(Duration::from_secs(2)).await);
    let csv = feed([8; 10]);
    let half = format!("HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: {}\r\n\r\n{csv}", csv.len() * 2);
    let chunk = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{csv}\r\n",
        csv.len()
    );
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\nconnection: close\r\n\r\n{csv}");
    let huge = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 99999999999\r\n\r\n";
    let away = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
    let heading = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 4\r\n\r\na,b\n";
    for (answer, part) in [
        ("", "does not answer"),
        (&half, "broke off"),
        (&chunk, "broke off"),
        (&endless, "says no length"),
        (huge, "is longer"),
        (away, "sends us elsewhere"),
        (page, "neither text/csv"),
        (heading, "needs the columns"),
        ("HTTP/1.1 503 Gone Fishing\r\ncontent-length: 0\r\n\r\n", "does not answer"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404"),
    ] {
        publisher.says(answer).await;
        let err = publisher.pull(&shop).await.unwrap_err();
        assert!(err.to_string().contains(part), "{err} instead of {part}");
        assert_eq!(on_hand(&shop).await, [7; 10]);
        let noted = last_sync(&shop).await.unwrap().unwrap().value.failure.unwrap();
        assert!(noted.contains(part), "{noted}");
    }
    assert!(publisher.asked.lock().await.len() >= 10);
    publisher.publishes("v1", &csv).await;
    assert!(matches!(publisher.pull(&shop).await.unwrap(), Synced::Applied(_)));
    assert_eq!(on_hand(&shop).await, [8; 10]);
    assert_eq!(last_sync(&shop).await.unwrap().unwrap().value.failure, None);
    drop(publisher);
    let nobody =
        InventoryHttp::new(HttpClient::default(), "http://127.0.0.1:9/".parse().unwrap(), Duration::from_secs(1));
    let gone = sync_inventory(&shop, &nobody).await.unwrap_err();
    assert!(matches!(gone, SyncError::Feed(FeedError::Unavailable(_))), "{gone}");
}

#[tokio::test]
async fn bad_rows_are_named_and_the_good_ones_applied() {
    let (shop, publisher) = (ten().await, Publisher::start().await);
    let csv = format!("{}NOBODY,3\n", feed([9, 7, 7, 7, 7, 7, 7, 7, 7, 7]).replace("S9,7", "S9,many"));
    publisher.publishes("v1", &csv).await;
    let Synced::Applied(report) = publisher.pull(&shop).await.unwrap() else { panic!("applied") };
    let refusals: Vec<_> = report.refusals.iter().map(|it| (it.line, it.reason.as_str())).collect();
    let unknown = "SKU NOBODY is in no product and was never counted";
    assert_eq!(refusals, [(11, "`many` is no whole number"), (12, unknown)]);
    assert_eq!(on_hand(&shop).await, [9, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
}

/// The store is taken away in the middle, at each write: the next pull goes on and both come to the same.
#[tokio::test]
async fn a_pull_that_is_interrupted_is_finished_by_the_next() {
    for writes in 0..6 {
        let stand = crate::catalogue::stand::Stand::new();
        let rows: String = (0..10).map(|it| format!("S{it},Thing {it},1.00\n")).collect();
        stand.load(&format!("sku,title,price\n{rows}")).await;
        let (shop, publisher) = (Shop::new(stand.ports.clone()), Publisher::start().await);
        publisher.publishes("v1", &feed([8, 9, 8, 9, 8, 7, 7, 7, 7, 7])).await;
        stand.store.allow_writes(writes);
        publisher.pull(&shop).await.ok();
        stand.store.allow_writes(i64::MAX);
        publisher.pull(&shop).await.unwrap();
        assert_eq!(on_hand(&shop).await, [8, 9, 8, 9, 8, 7, 7, 7, 7, 7], "{writes}");
        assert_eq!(last_sync(&shop).await.unwrap().unwrap().value.state, SyncState::Applied, "{writes}");
    }
}

/// Takes its time with each piece.
#[derive(Clone)]
struct Drip(Vec<Bytes>, Duration);

#[async_trait]
impl FeedBody for Drip {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FeedError> {
        sleep(self.1).await;
        Ok(self.0.pop())
    }
}

#[async_trait]
impl InventoryFeed for Drip {
    async fn fetch(&self, _: Option<&str>) -> Result<Fetched, FeedError> {
        let feed = Feed { etag: None, format: FeedFormat::Csv, body: Box::new(self.clone()) };
        Ok(Fetched::New(feed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_takes_long_ends_before_its_invocation_does_and_the_next_goes_on() {
    let shop = ten().await;
    let began = Instant::now();
    let pieces = ["sku,onHand\nS0,9\nS1,9\n"].map(Bytes::from).to_vec();
    let Synced::Interrupted(report) =
        sync_inventory(&shop, &Drip(pieces.clone(), Duration::from_secs(45))).await.unwrap()
    else {
        panic!("there was no time left")
    };
    assert_eq!((report.changed, report.failed), (2, 2));
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
    let done = sync_inventory(&shop, &Drip(pieces, Duration::from_secs(5))).await.unwrap();
    assert!(matches!(done, Synced::Applied(_)), "{done:?}");
    assert_eq!(on_hand(&shop).await[..3], [9, 9, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_cannot_be_compared_in_time_changes_nothing_and_says_so() {
    let shop = ten().await;
    let pieces = ["S1,9\n", "sku,onHand\nS0,9\n"].map(Bytes::from).to_vec();
    let slow = sync_inventory(&shop, &Drip(pieces, Duration::from_secs(30))).await.unwrap_err();
    assert!(matches!(slow, SyncError::Slow { rows: 1 }), "{slow}");
    assert_eq!(on_hand(&shop).await, [7; 10]);
    let noted = last_sync(&shop).await.unwrap().unwrap().value.failure.unwrap();
    assert!(noted.contains("1 rows"), "{noted}");
}

#[tokio::test]
async fn a_feed_without_a_version_that_says_the_same_again_costs_no_look_at_the_stock() {
    let stand = crate::catalogue::stand::Stand::new();
    let rows: String = (0..10).map(|it| format!("S{it},Thing {it},1.00\n")).collect();
    stand.load(&format!("sku,title,price\n{rows}")).await;
    let shop = Shop::new(stand.ports.clone());
    let body = Bytes::from("sku,onHand\nS0,8\nS1,9\n");
    let same = Drip(vec![body], Duration::ZERO);
    assert!(matches!(sync_inventory(&shop, &same).await.unwrap(), Synced::Applied(_)));
    let before = stand.store.reads();
    assert_eq!(sync_inventory(&shop, &same).await.unwrap(), Synced::Unchanged);
    assert_eq!(stand.store.reads(), before + 1, "how the last pull went");
}
