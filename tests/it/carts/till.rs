//! A whole shop in this process: its rooms on a socket, its store in memory, a clock that moves when told, a
//! provider that keeps books, and an issuer that believes everyone. Several instances may share one store.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderMap, Method};
use offpeak::{
    functions::ROOMS,
    shared::{
        adapters::{
            http_client::HttpClient,
            memory::{MemoryDocuments, hub::MemoryHub},
            memory_cache::MemoryCache,
            object_storage::StoredObjects,
            system::RandomIds,
            tax_http::TaxHttp,
        },
        app::App,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::{
            Shop,
            import_catalogue::{ImportOptions, import_catalogue, rows::Format},
        },
        ports::{
            Ports,
            bus::{Bus, BusError, Message},
            clock::Clock,
            documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
            identity::{Caller, Identity, IdentityError},
            mail::{Letter, Mail, MailError},
            payments::{
                Authorise, Movement, Notice, Payment, PaymentError, PaymentName, PaymentState, Payments, RefundState,
                Refunded, WebhookError,
            },
        },
    },
};
use offpeak_domain::{
    money::{Currency, Money},
    payment::{FactKind, PaymentFact},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    documents_contract::HandClock,
    shop::client::{Answer, Client},
};

/// What outlives every instance.
pub(crate) struct Till {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) store: Arc<Gate>,
    pub(crate) provider: Arc<Provider>,
    world: Arc<World>,
    serving: Mutex<JoinSet<()>>,
}

impl Till {
    /// With these goods, sold in pounds, nine of each unless the list says otherwise.
    pub(crate) async fn open(goods: &str) -> Till {
        let clock = HandClock::new();
        let inner = MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let (writes_left, query_takes) = (AtomicI64::new(i64::MAX), AtomicI64::new(0));
        let store = Arc::new(Gate { inner, clock: Arc::clone(&clock), writes_left, query_takes });
        let (provider, world) = (Arc::new(Provider::new()), Arc::new(World::default()));
        let till = Till { clock, store, provider, world, serving: Mutex::default() };
        till.load(goods).await;
        till
    }

    /// Loads a price list.
    pub(crate) async fn load(&self, goods: &str) {
        let currency = Some(Currency::parse("GBP").unwrap());
        let options = ImportOptions { currency, on_hand: Some(9), ..ImportOptions::default() };
        let ports = self.ports();
        let report = Box::pin(import_catalogue(&ports, goods.as_bytes(), Format::Csv, &options)).await.unwrap();
        assert_eq!(report.refused, 0, "{report:?}");
    }

    fn ports(&self) -> Ports {
        let world = Arc::clone(&self.world);
        Ports {
            documents: Arc::clone(&self.store) as Arc<dyn Documents>,
            bus: Arc::clone(&world) as Arc<dyn Bus>,
            hub: Arc::new(MemoryHub::default()),
            payments: Arc::clone(&self.provider) as Arc<dyn Payments>,
            mail: world,
            objects: Arc::new(StoredObjects::in_memory()),
            taxes: Arc::new(TaxHttp::new(HttpClient::default(), Duration::from_secs(20))),
            cache: Arc::new(MemoryCache::new(Arc::clone(&self.clock) as Arc<dyn Clock>)),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ids: Arc::new(RandomIds),
        }
    }

    /// A process of the shop that has just started and remembers nothing.
    pub(crate) async fn instance(&self) -> Client {
        let app = Arc::new(App::new(Shop::new(self.ports()), Arc::clone(&self.world) as Arc<dyn Identity>));
        let listener = bind(0, Duration::ZERO).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        self.serving.lock().unwrap().spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Client::new(&url)
    }

    /// Takes what was sent to this queue since the last time.
    pub(crate) fn sent_to(&self, destination: &str) -> Vec<Message> {
        self.world.sent.lock().unwrap().extract_if(.., |it| it.destination == destination).collect()
    }

    /// Puts messages back that were taken.
    pub(crate) fn requeue(&self, messages: Vec<Message>) {
        self.world.sent.lock().unwrap().extend(messages);
    }

    /// The shop's time, RFC 3339.
    pub(crate) fn now_text(&self) -> String {
        self.clock.now().format(&Rfc3339).unwrap()
    }

    /// Takes a product out of the shop: what any import or back office would store.
    pub(crate) async fn archive(&self, sku: &str) {
        let name = format!("sku:{sku}");
        let lookup = self.store.read(Container::Lookups, &name, &name).await.unwrap().unwrap();
        let product = lookup.body["productId"].as_str().unwrap();
        let Document { id, etag, mut body, .. } =
            self.store.read(Container::Catalog, product, "product").await.unwrap().unwrap();
        body["product"]["status"] = json!("archived");
        let write = Write::Replace { id, body, etag, ttl: None };
        self.store.write(Container::Catalog, product, vec![write]).await.unwrap();
    }

    /// Changes settings as staff do, in a process of their own.
    pub(crate) async fn settings(&self, change: &Value) {
        put_settings(&self.instance().await, change).await.gave(200);
    }
}

pub(crate) async fn put_settings(client: &Client, change: &Value) -> Answer {
    let call = client.call(Method::PUT, "/api/v1/manage/settings");
    call.header("authorization", "Bearer staff;owner").header("if-match", "*").json(change).send().await
}

/// A memory store that can be slow, or be taken away after so many writes.
pub(crate) struct Gate {
    inner: MemoryDocuments,
    clock: Arc<HandClock>,
    writes_left: AtomicI64,
    query_takes: AtomicI64,
}

impl Gate {
    pub(crate) fn allow_writes(&self, writes: i64) {
        self.writes_left.store(writes, Ordering::SeqCst);
    }

    pub(crate) fn allow_all(&self) {
        self.allow_writes(i64::MAX);
    }

    /// How long each query takes, in seconds of the shop's clock.
    pub(crate) fn be_slow(&self, seconds: i64) {
        self.query_takes.store(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Documents for Gate {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        // Gives other callers a turn, as a real store would.
        tokio::task::yield_now().await;
        self.inner.read(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        tokio::task::yield_now().await;
        if self.writes_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Unavailable("the store was taken away".into()));
        }
        self.inner.write(container, partition, writes).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.clock.advance(self.query_takes.load(Ordering::SeqCst));
        self.inner.query(container, scope, query).await
    }
}

/// Broker, letters and issuer. A bearer token is its subject, then roles, separated by semicolons.
#[derive(Default)]
struct World {
    sent: Mutex<Vec<Message>>,
}

#[async_trait]
impl Bus for World {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        self.sent.lock().unwrap().push(message.clone());
        Ok(())
    }
}

#[async_trait]
impl Mail for World {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        Ok(())
    }
}

#[async_trait]
impl Identity for World {
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError> {
        let mut words = token.split(';').map(str::to_owned);
        let subject = words.next().filter(|it| !it.is_empty());
        let subject = subject.ok_or_else(|| IdentityError::Invalid("nobody".to_owned()))?;
        Ok(Caller { subject, roles: words.collect(), scopes: Vec::new() })
    }
}

struct Entry {
    request: Authorise,
    status: PaymentState,
    facts: BTreeMap<String, PaymentFact>,
}

/// A provider that keeps books. Methods: `approve`, `decline`, `challenge` (until the bank has approved), `away`
/// (answers once it is back), `wait` (answers when it is let go).
pub(crate) struct Provider {
    payments: Mutex<BTreeMap<String, Entry>>,
    pub(crate) is_away: AtomicBool,
    pub(crate) gate: Semaphore,
    /// How many calls have come to the gate.
    pub(crate) waiting: Semaphore,
}

impl Provider {
    fn new() -> Provider {
        Provider {
            payments: Mutex::default(),
            is_away: AtomicBool::new(false),
            gate: Semaphore::new(0),
            waiting: Semaphore::new(0),
        }
    }

    /// Every payment's checkout with what was asked for and what was taken.
    pub(crate) fn books(&self) -> Vec<(String, i64, i64)> {
        let payments = self.payments.lock().unwrap();
        let entry = |it: &Entry| {
            let payment = it.shown();
            (it.request.checkout_id.clone(), it.request.amount.minor(), payment.captured.minor())
        };
        payments.values().map(entry).collect()
    }

    pub(crate) fn approve_challenges(&self) {
        for entry in self.payments.lock().unwrap().values_mut() {
            if matches!(entry.status, PaymentState::ActionRequired { .. }) {
                entry.status = PaymentState::Authorised;
                entry.note("authorised", FactKind::Authorised, entry.request.amount);
            }
        }
    }
}

impl Entry {
    fn note(&mut self, id: &str, kind: FactKind, amount: Money) {
        let reference = self.request.reference.clone();
        let fact = PaymentFact { id: id.to_owned(), reference, kind, amount, at: OffsetDateTime::UNIX_EPOCH };
        self.facts.insert(id.to_owned(), fact);
    }

    fn shown(&self) -> Payment {
        let facts = self.facts.values().cloned().collect();
        Payment::of(&self.request.name(), self.status.clone(), self.request.amount.currency(), facts)
    }
}

fn refused<T>() -> Result<T, PaymentError> {
    Err(PaymentError::Refused("not here".to_owned()))
}

#[async_trait]
impl Payments for Provider {
    fn provider(&self) -> &'static str {
        "till"
    }

    fn accepts(&self, method: &str) -> bool {
        ["approve", "decline", "challenge", "away", "wait"].contains(&method)
    }

    async fn prepare(&self, _: &Authorise) -> Result<Option<String>, PaymentError> {
        Ok(None)
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        if request.method == "away" && self.is_away.load(Ordering::SeqCst) {
            return Err(PaymentError::Unavailable("nobody answers".into()));
        }
        if request.method == "wait" {
            self.waiting.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
        }
        let mut payments = self.payments.lock().unwrap();
        let status = match request.method.as_str() {
            "decline" => PaymentState::Declined { reason: "insufficient_funds".to_owned() },
            "challenge" => PaymentState::ActionRequired { url: "https://bank.example/ask".to_owned() },
            _ => PaymentState::Authorised,
        };
        let new = || Entry { request: request.clone(), status: status.clone(), facts: BTreeMap::new() };
        let entry = payments.entry(request.reference.clone()).or_insert_with(new);
        if entry.status == PaymentState::Authorised {
            entry.note("authorised", FactKind::Authorised, request.amount);
        }
        Ok(entry.shown())
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        Ok(self.payments.lock().unwrap().get(&name.reference).map(Entry::shown))
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(&name.reference) else { return refused() };
        entry.note(&format!("capture:{}", movement.key), FactKind::Captured, movement.amount);
        Ok(entry.shown())
    }

    async fn void(&self, name: &PaymentName, _: &str) -> Result<Option<Payment>, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(&name.reference) else { return Ok(None) };
        entry.status = PaymentState::Voided;
        Ok(Some(entry.shown()))
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(&name.reference) else { return refused() };
        entry.note(&format!("refund:{}", movement.key), FactKind::Refunded, movement.amount);
        Ok(Refunded { payment: entry.shown(), state: RefundState::Succeeded })
    }

    async fn webhook(&self, _: &HeaderMap, _: &[u8], _: OffsetDateTime) -> Result<Notice, WebhookError> {
        Err(WebhookError::Unsigned)
    }
}

/// A cart and the token that opens it.
#[derive(Clone)]
pub(crate) struct Cart {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Cart {
    pub(crate) async fn new(client: &Client) -> Cart {
        let answer = client.post("/api/v1/carts", &json!({})).await.gave(201);
        Cart { id: answer.at("/id").to_owned(), token: answer.at("/token").to_owned() }
    }

    pub(crate) async fn with(client: &Client, goods: &[(&str, u32)]) -> Cart {
        let cart = Cart::new(client).await;
        let lines: Vec<_> = goods.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
        if !lines.is_empty() {
            cart.put(client, "/lines", &json!({ "lines": lines })).await.gave(200);
        }
        cart
    }

    pub(crate) fn path(&self) -> String {
        format!("/api/v1/carts/{}", self.id)
    }

    pub(crate) fn checkout(&self) -> String {
        format!("/api/v1/checkouts/{}", self.id.replace("cart_", "chk_"))
    }

    pub(crate) async fn get(&self, client: &Client, path: &str) -> Answer {
        client.call(Method::GET, path).header("x-cart-token", &self.token).send().await
    }

    pub(crate) async fn show(&self, client: &Client) -> Answer {
        self.get(client, &self.path()).await
    }

    /// `PUT` below the cart.
    pub(crate) async fn put(&self, client: &Client, below: &str, body: &Value) -> Answer {
        let call = client.call(Method::PUT, &format!("{}{below}", self.path())).header("x-cart-token", &self.token);
        call.json(body).send().await
    }

    pub(crate) async fn start(&self, client: &Client) -> Answer {
        let body = json!({
            "cartId": self.id, "email": "ada@example.com", "shippingMethod": "standard",
            "shippingAddress": {
                "name": "Ada", "line1": "1 Mill Lane", "city": "Leeds", "postalCode": "LS1 1AA", "country": "GB"
            }
        });
        client.call(Method::POST, "/api/v1/checkouts").header("x-cart-token", &self.token).json(&body).send().await
    }

    /// With goods and an open checkout; answers the total as shown.
    pub(crate) async fn at_checkout(client: &Client, goods: &[(&str, u32)]) -> (Cart, Value) {
        let cart = Cart::with(client, goods).await;
        let total = cart.start(client).await.gave(201).body["totals"]["total"].clone();
        (cart, total)
    }

    pub(crate) async fn complete(&self, client: &Client, key: &str, total: &Value, method: &str) -> Answer {
        let body = json!({ "expectedTotal": total, "payment": { "method": method } });
        let call = client.call(Method::POST, &format!("{}/complete", self.checkout()));
        call.header("x-cart-token", &self.token).header("idempotency-key", key).json(&body).send().await
    }

    /// At sign-in, as this shopper.
    pub(crate) async fn merge(&self, client: &Client, who: &str, body: &Value) -> Answer {
        let call = client.call(Method::POST, &format!("{}/merge", self.path())).header("x-cart-token", &self.token);
        call.header("authorization", &format!("Bearer {who}")).json(body).send().await
    }
}

/// The open cart of a shopper who has signed in.
pub(crate) async fn account(client: &Client, who: &str) -> Cart {
    let call = client.call(Method::POST, "/api/v1/carts").header("authorization", &format!("Bearer {who}"));
    let answer = call.json(&json!({})).send().await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    Cart { id: answer.at("/id").to_owned(), token: answer.at("/token").to_owned() }
}

/// SKU and units of each line, in order.
pub(crate) fn lines(cart: &Value) -> Vec<(String, u64)> {
    let line = |it: &Value| (it["sku"].as_str().unwrap().to_owned(), it["quantity"].as_u64().unwrap());
    cart["lines"].as_array().unwrap().iter().map(line).collect()
}

pub(crate) fn minor(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().parse().unwrap()
}

/// A small generator: tests that draw must draw the same again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// Below `sides`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
