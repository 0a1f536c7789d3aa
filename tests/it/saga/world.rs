//! What outlives every process: store, provider, broker, letters, time. And a process that works on it,
//! each of whose effects is numbered.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use http::HeaderMap;
use offpeak::shared::{
    adapters::{
        memory::{MemoryDocuments, hub::MemoryHub},
        memory_cache::MemoryCache,
        object_storage::StoredObjects,
    },
    operations::{
        Shop,
        carts::{create_cart, set_cart_line},
        checkouts::{Choices, start_checkout},
        import_catalogue::{ImportOptions, import_catalogue, rows::Format},
    },
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        clock::{Clock, Ids},
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
        mail::{Letter, Mail, MailError},
        payments::{Authorise, Movement, Notice, Payment, PaymentError, PaymentName, Payments, Refunded, WebhookError},
        taxes::{TaxQuestion, Taxes, TaxesUnavailable},
    },
};
use offpeak_domain::{
    address::{Address, Email},
    ids::{CartId, CheckoutId},
    money::{Currency, Money},
    quantity::Quantity,
    sku::Sku,
    tax::ProvidedTaxes,
};
use serde_json::Value;
use time::OffsetDateTime;
use ulid::Ulid;

use super::{
    effects::Effects,
    provider::{METHODS, Provider},
};
use crate::documents_contract::HandClock;

/// A fault that the checks must notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Planted {
    #[default]
    Nothing,
    /// A repeated capture takes the money again.
    CapturesAgain,
    /// Holds are never given back.
    KeepsHolds,
    /// A write is made whatever it was conditional on.
    IgnoresVersions,
    /// Events are said to be sent and are not.
    LosesEvents,
    /// Every letter goes out twice.
    WritesTwice,
    /// Another answer is kept with a key than the one given.
    GarblesAnswers,
}

pub(crate) struct World {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) documents: Arc<MemoryDocuments>,
    pub(crate) provider: Provider,
    /// Everything the broker acknowledged, repeats too.
    pub(super) sent: Mutex<Vec<Message>>,
    pub(super) letters: Mutex<Vec<Letter>>,
    /// How often one letter may have gone out.
    pub(super) letters_max: AtomicUsize,
    planted: Planted,
    /// The SKUs' first part: runs in one process share what queues by SKU, so worlds do not share SKUs.
    tag: u64,
    drawn: AtomicU64,
}

/// One cart at the till.
#[derive(Clone, Debug)]
pub(crate) struct Buyer {
    pub(crate) cart: CartId,
    pub(crate) token: String,
    pub(crate) checkout: CheckoutId,
    pub(crate) total: Money,
    /// SKU and units.
    pub(crate) lines: Vec<(Sku, i64)>,
}

static WORLDS: AtomicU64 = AtomicU64::new(0);

impl World {
    /// Two SKUs with `on_hand` units each; the second costs twice as much.
    pub(crate) async fn new(planted: Planted, on_hand: i64, price: &str) -> Arc<World> {
        let clock = HandClock::new();
        let world = Arc::new(World {
            documents: Arc::new(MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>)),
            clock,
            provider: Provider::new(planted == Planted::CapturesAgain),
            sent: Mutex::default(),
            letters: Mutex::default(),
            letters_max: AtomicUsize::new(1),
            planted,
            tag: WORLDS.fetch_add(1, Ordering::SeqCst),
            drawn: AtomicU64::new(0),
        });
        let csv = format!("sku,title,price\n{0},Bell,{price}\n{1},Kite,{price}\n", world.sku('A'), world.sku('B'));
        let currency = Some(Currency::parse("GBP").unwrap());
        let options = ImportOptions { currency, on_hand: Some(on_hand), ..ImportOptions::default() };
        let ports = world.process(&Effects::all_well()).ports;
        let report = Box::pin(import_catalogue(&ports, csv.as_bytes(), Format::Csv, &options)).await.unwrap();
        assert_eq!((report.created, report.refused), (2, 0), "{report:?}");
        world
    }

    pub(crate) fn sku(&self, name: char) -> Sku {
        Sku::parse(&format!("{name}{}", self.tag)).unwrap()
    }

    /// A process that has just started.
    pub(crate) fn process(self: &Arc<World>, effects: &Arc<Effects>) -> Shop {
        let process = Arc::new(Process { world: Arc::clone(self), effects: Arc::clone(effects) });
        Shop::new(Ports {
            documents: Arc::clone(&process) as Arc<dyn Documents>,
            bus: Arc::clone(&process) as Arc<dyn Bus>,
            hub: Arc::new(MemoryHub::default()),
            payments: Arc::clone(&process) as Arc<dyn Payments>,
            mail: Arc::clone(&process) as Arc<dyn Mail>,
            objects: Arc::new(StoredObjects::in_memory()),
            taxes: Arc::clone(&process) as Arc<dyn Taxes>,
            cache: Arc::new(MemoryCache::new(Arc::clone(&self.clock) as Arc<dyn Clock>)),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            ids: process,
        })
    }

    /// A buyer with so many units of either SKU, whose checkout is open.
    pub(super) async fn buyer(&self, shop: &Shop, units: [u32; 2]) -> Buyer {
        let (cart, token) = create_cart(shop, None).await.unwrap();
        let cart = cart.cart.id;
        let mut lines = Vec::new();
        // Not in the order of SKUs: holding sorts them.
        for (name, units) in ['B', 'A'].into_iter().zip([units[1], units[0]]).filter(|(_, units)| *units > 0) {
            let sku = self.sku(name);
            set_cart_line(shop, cart, &token, &sku, Some(Quantity::new(units).unwrap()), None).await.unwrap();
            lines.push((sku, i64::from(units)));
        }
        let choices = Choices {
            email: Some(Email::parse("ada@example.org").unwrap()),
            shipping_address: Some(Address::parse("Ada", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB").unwrap()),
            billing_address: None,
            shipping_method: Some("standard".to_owned()),
        };
        let (_, begun) = Box::pin(start_checkout(shop, cart, &token, &choices)).await.unwrap();
        Buyer { cart, token, checkout: cart.checkout(), total: begun.priced.totals.total, lines }
    }
}

/// One process, as its ports see it.
struct Process {
    world: Arc<World>,
    effects: Arc<Effects>,
}

impl Process {
    fn fails(&self, planted: Planted) -> bool {
        self.world.planted == planted
    }

    /// Writes as a store with the planted fault would.
    async fn store(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        let documents = &self.world.documents;
        let gives_back = writes.iter().any(|it| member(it, "state") == Some("released"));
        if self.fails(Planted::KeepsHolds) && gives_back {
            return Ok(writes.iter().map(|_| ETag("skipped".to_owned())).collect());
        }
        let mut forced = Vec::with_capacity(writes.len());
        for write in writes {
            let found = documents.read(container, partition, write.id()).await?;
            forced.push(match (write, found) {
                (Write::Create { id, body, ttl } | Write::Replace { id, body, ttl, .. }, Some(found))
                    if self.fails(Planted::IgnoresVersions) =>
                {
                    Write::Replace { id, body, ttl, etag: found.etag }
                }
                (Write::Create { id, body: Value::Object(mut body), ttl }, _)
                    if self.fails(Planted::GarblesAnswers) && id.starts_with("answer:") =>
                {
                    body.insert("body".to_owned(), Value::from("{}"));
                    Write::Create { id, body: Value::Object(body), ttl }
                }
                (write, _) => write,
            });
        }
        documents.write(container, partition, forced).await
    }
}

fn member<'a>(write: &'a Write, name: &str) -> Option<&'a str> {
    match write {
        Write::Create { body, .. } | Write::Replace { body, .. } => body.get(name).and_then(Value::as_str),
        Write::Delete { .. } => None,
    }
}

#[async_trait]
impl Documents for Process {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.effects.turn().await;
        self.world.documents.read(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        let ids: Vec<_> = writes.iter().map(Write::id).collect();
        let name = format!("write {} {}", container.name(), ids.join(" "));
        let id = writes.first().map(|it| it.id().to_owned()).unwrap_or_default();
        let conflict = match writes.first() {
            Some(Write::Create { .. }) => StoreError::Exists { id },
            _ => StoreError::Changed { id },
        };
        let lost = StoreError::Unavailable("no answer came".into());
        self.effects.effect(name, self.store(container, partition, writes), Some(conflict), lost).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.effects.turn().await;
        self.world.documents.query(container, scope, query).await
    }
}

#[async_trait]
impl Bus for Process {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        let work = async {
            if !(self.fails(Planted::LosesEvents) && message.subject == "order.placed") {
                self.world.sent.lock().unwrap().push(message.clone());
            }
            Ok(())
        };
        self.effects
            .effect(format!("send {}", message.id), work, None, BusError::Unavailable("no answer came".into()))
            .await
    }
}

#[async_trait]
impl Mail for Process {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let copies = if self.fails(Planted::WritesTwice) { 2 } else { 1 };
        let work = async {
            self.world.letters.lock().unwrap().extend(vec![letter.clone(); copies]);
            Ok(())
        };
        let lost = MailError::Unavailable("no answer came".into());
        self.effects.effect(format!("mail {}", letter.event_id), work, None, lost).await
    }
}

#[async_trait]
impl Payments for Process {
    fn provider(&self) -> &'static str {
        "fake"
    }

    fn accepts(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn prepare(&self, _request: &Authorise) -> Result<Option<String>, PaymentError> {
        Ok(None)
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let work = async { self.world.provider.authorise(request) };
        self.effects.effect(format!("authorise {}", request.reference), work, None, silence()).await
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        self.effects.turn().await;
        Ok(self.world.provider.find(name))
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let work = async { self.world.provider.capture(name, movement) };
        self.effects.effect(format!("capture {}", movement.key), work, None, silence()).await
    }

    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError> {
        let work = async { Ok(self.world.provider.void(name)) };
        self.effects.effect(format!("void {key}"), work, None, silence()).await
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let work = async { self.world.provider.refund(name, movement) };
        self.effects.effect(format!("refund {}", movement.key), work, None, silence()).await
    }

    /// As anyone may write it: `{"event":…,"reference":…,"facts":…}`, where `facts` is how many of the provider's
    /// facts it tells. Signatures are the real adapters' matter.
    async fn webhook(&self, _headers: &HeaderMap, body: &[u8], _now: OffsetDateTime) -> Result<Notice, WebhookError> {
        let told: Value = serde_json::from_slice(body).map_err(|_| WebhookError::Forged)?;
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let name = PaymentName { reference: text("reference").unwrap_or_default(), provider_id: None };
        let facts = self.world.provider.find(&name).map(|it| it.facts).unwrap_or_default();
        let count = told["facts"].as_u64().map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
        Ok(Notice {
            event_id: text("event").unwrap_or_default(),
            reference: text("reference"),
            provider_id: None,
            facts: facts.into_iter().rev().take(count).collect(),
        })
    }
}

fn silence() -> PaymentError {
    PaymentError::Unavailable("no answer came".into())
}

#[async_trait]
impl Taxes for Process {
    async fn rates(&self, _: &str, _: &TaxQuestion) -> Result<ProvidedTaxes, TaxesUnavailable> {
        self.effects.turn().await;
        Err(TaxesUnavailable("these shops have a table".into()))
    }
}

impl Ids for Process {
    fn ulid(&self) -> Ulid {
        let drawn = self.world.drawn.fetch_add(1, Ordering::SeqCst);
        Ulid::from_parts(1_800_000_000_000 + drawn, (u128::from(self.world.tag) << 32) + u128::from(drawn))
    }

    fn token(&self) -> String {
        format!("{:032x}", u128::from(self.ulid()))
    }
}
