//! One handler process, as its ports see the world: every effect goes through its [`Faults`].
use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use http::HeaderMap;
use offpeak::shared::{
    adapters::{memory::hub::MemoryHub, memory_cache::NoCache, object_storage::StoredObjects, service_bus},
    app::App,
    operations::Shop,
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        clock::Ids,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
        identity::{Caller, Identity, IdentityError, OWNER},
        mail::{Letter, Mail, MailError},
        payments::{
            Authorise, Movement, Notice, Payment, PaymentError, PaymentName, Payments, RefundState, Refunded,
            WebhookError,
        },
        taxes::{TaxQuestion, Taxes, TaxesUnavailable},
    },
};
use offpeak_domain::tax::ProvidedTaxes;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::{
    faults::Faults,
    planted::{self, Planted},
    provider::METHODS,
    world::World,
};

/// A running process: rooms are called on its app.
pub(super) struct Process {
    pub(super) app: App,
    pub(super) faults: Arc<Faults>,
}

impl Process {
    /// One that has just started, on a machine whose clock is off by `skew`.
    pub(super) fn start(world: &Arc<World>, faults: Faults, skew: Duration) -> Process {
        let faults = Arc::new(faults);
        let ports = Arc::new(Inner { world: Arc::clone(world), faults: Arc::clone(&faults) });
        let shop = Shop::without_memory(Ports {
            documents: Arc::clone(&ports) as Arc<dyn Documents>,
            bus: Arc::clone(&ports) as Arc<dyn Bus>,
            hub: Arc::new(MemoryHub::default()),
            payments: Arc::clone(&ports) as Arc<dyn Payments>,
            mail: Arc::clone(&ports) as Arc<dyn Mail>,
            objects: Arc::new(StoredObjects::in_memory()),
            taxes: Arc::clone(&ports) as Arc<dyn Taxes>,
            cache: Arc::new(NoCache),
            clock: Arc::new(world.clock.skewed(skew)),
            ids: ports,
        });
        Process { app: App::new(shop, Arc::new(Staff)), faults }
    }
}

struct Inner {
    world: Arc<World>,
    faults: Arc<Faults>,
}

impl Inner {
    fn turns_away(&self) -> bool {
        self.world.store_is_busy.load(Ordering::SeqCst)
    }
}

/// What may be read old: a decision that stands on it is made again by a conditional write or is only shown.
const MAY_BE_OLD: [Container; 5] =
    [Container::Stores, Container::Catalog, Container::Lookups, Container::Listings, Container::Carts];

fn busy() -> StoreError {
    StoreError::Unavailable("429: too many requests, retry after 20 ms".into())
}

#[async_trait]
impl Documents for Inner {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.faults.read().await;
        if self.turns_away() || self.faults.is_lost() {
            return Err(busy());
        }
        if MAY_BE_OLD.contains(&container)
            && self.faults.is_stale()
            && let Some(before) = self.world.store.before(container, partition, id)
        {
            return Ok(before);
        }
        self.world.store.read(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        if self.world.planted == Planted::PublishesFirst {
            for message in planted::events(&writes) {
                self.world.accept(&message).await;
            }
        }
        if self.world.planted == Planted::ClaimsApart && container == Container::PromoUse && writes.len() > 1 {
            let mut etags = Vec::with_capacity(writes.len());
            for write in writes {
                etags.extend(self.write(container, partition, vec![write]).await?);
            }
            return Ok(etags);
        }
        let ids: Vec<_> = writes.iter().map(Write::id).collect();
        let name = format!("write {} {partition} {}", container.name(), ids.join(" "));
        let id = writes.first().map(|it| it.id().to_owned()).unwrap_or_default();
        let conflict = match writes.first() {
            Some(Write::Create { .. }) => StoreError::Exists { id },
            _ => StoreError::Changed { id },
        };
        let work = async {
            if self.turns_away() { Err(busy()) } else { self.world.store.write(container, partition, writes).await }
        };
        let done = self.faults.effect(name, work, Some(conflict), busy()).await;
        let overtaken = matches!(done, Err(StoreError::Changed { .. })) && container == Container::Purchases;
        if overtaken && self.world.planted == Planted::RefundsUnasked {
            self.world.provider.refund_all(partition);
        }
        done
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.faults.read().await;
        if self.turns_away() || self.faults.is_lost() {
            return Err(busy());
        }
        self.world.store.query(container, scope, query).await
    }
}

#[async_trait]
impl Bus for Inner {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        let work = async {
            if self.world.bus_is_silent.load(Ordering::SeqCst) {
                tokio::time::sleep(service_bus::PATIENCE).await;
                return Err(BusError::Unavailable("no answer came".into()));
            }
            self.world.accept(message).await;
            Ok(())
        };
        let lost = BusError::Unavailable("no answer came".into());
        self.faults.effect(format!("send {}", message.id), work, None, lost).await
    }
}

#[async_trait]
impl Mail for Inner {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let work = async {
            if self.world.mail_is_down.load(Ordering::SeqCst) {
                return Err(MailError::Unavailable("the mail service is down".into()));
            }
            self.world.letters.lock().unwrap().push(letter.clone());
            Ok(())
        };
        let lost = MailError::Unavailable("no answer came".into());
        self.faults.effect(format!("mail {}", letter.event_id), work, None, lost).await
    }
}

fn silence() -> PaymentError {
    PaymentError::Unavailable("no answer came".into())
}

#[async_trait]
impl Payments for Inner {
    fn provider(&self) -> &'static str {
        "sandbox"
    }

    fn accepts(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn prepare(&self, _request: &Authorise) -> Result<Option<String>, PaymentError> {
        Ok(None)
    }

    async fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let work = async { self.world.provider.authorise(request) };
        self.faults.effect(format!("authorise {}", request.reference), work, None, silence()).await
    }

    async fn find(&self, name: &PaymentName) -> Result<Option<Payment>, PaymentError> {
        self.faults.read().await;
        if self.faults.is_lost() {
            return Err(silence());
        }
        Ok(self.world.provider.find(&name.reference))
    }

    async fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let work = async { self.world.provider.capture(&name.reference, movement) };
        self.faults.effect(format!("capture {} {}", name.reference, movement.key), work, None, silence()).await
    }

    async fn void(&self, name: &PaymentName, key: &str) -> Result<Option<Payment>, PaymentError> {
        let work = async { Ok(self.world.provider.void(&name.reference)) };
        self.faults.effect(format!("void {} {key}", name.reference), work, None, silence()).await
    }

    async fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let work = async {
            let payment = self.world.provider.refund(&name.reference, movement)?;
            Ok(Refunded { payment, state: RefundState::Succeeded })
        };
        self.faults.effect(format!("refund {} {}", name.reference, movement.key), work, None, silence()).await
    }

    /// The twin's webhooks name a payment; what is told is what there is.
    async fn webhook(&self, _headers: &HeaderMap, body: &[u8], _now: OffsetDateTime) -> Result<Notice, WebhookError> {
        let told: Value = serde_json::from_slice(body).map_err(|err| WebhookError::Unreadable(err.to_string()))?;
        let text = |name: &str| told[name].as_str().map(ToOwned::to_owned);
        let reference = text("reference");
        let found = reference.as_deref().and_then(|it| self.world.provider.find(it));
        let facts = found.map_or_else(Vec::new, |it| it.facts);
        let event_id = text("id").ok_or_else(|| WebhookError::Unreadable("it has no id".to_owned()))?;
        Ok(Notice { event_id, reference, provider_id: None, facts })
    }
}

/// These stores have their rates themselves.
#[async_trait]
impl Taxes for Inner {
    async fn rates(&self, _url: &str, _question: &TaxQuestion) -> Result<ProvidedTaxes, TaxesUnavailable> {
        Err(TaxesUnavailable("there is no tax service".into()))
    }
}

impl Ids for Inner {
    fn ulid(&self) -> Ulid {
        self.world.draw_ulid()
    }

    fn token(&self) -> String {
        format!("{:032x}", u128::from(self.ulid()))
    }
}

/// Any token is the owner's.
struct Staff;

#[async_trait]
impl Identity for Staff {
    async fn caller(&self, _token: &str) -> Result<Caller, IdentityError> {
        Ok(Caller { subject: "storekeeper".to_owned(), roles: vec![OWNER.to_owned()], scopes: Vec::new() })
    }
}
