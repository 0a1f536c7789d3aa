//! What outlives every process: store, provider, broker, letters, time. And the fleet of processes that work
//! on it, of which any may end at any effect and is started again.
use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::Method;
use offpeak::shared::{
    documents::settings,
    host::limits::Limits,
    operations::import_catalogue::{ImportOptions, import_catalogue, rows::Format},
    ports::{bus::Message, documents::Container, mail::Letter},
};
use offpeak_domain::{
    money::Currency,
    stock::{Location, StockLocation},
    store::StoreSettings,
};
use serde_json::json;
use tokio::{sync::watch, time::Instant};
use ulid::Ulid;

use super::{
    broker::{Broker, LOCK, Manners},
    chance::Chance,
    faults::{Faults, Rates},
    local::Kept,
    machine::Process,
    planted::Planted,
    provider::Provider,
    rooms::{self, Request},
    store::Store,
    time::VirtualClock,
};

/// How often the timers tick.
const TICK: Duration = Duration::from_mins(1);

pub(super) struct World {
    pub(super) clock: VirtualClock,
    pub(super) store: Store,
    pub(super) provider: Provider,
    pub(super) broker: Broker,
    pub(super) letters: Mutex<Vec<Letter>>,
    /// The mail service answers nobody.
    pub(super) mail_is_down: AtomicBool,
    /// The broker answers nobody.
    pub(super) bus_is_silent: AtomicBool,
    /// The store turns everyone away.
    pub(super) store_is_busy: AtomicBool,
    /// Events that were sent before the change they tell of was stored.
    pub(super) too_early: Mutex<Vec<String>>,
    pub(super) planted: Planted,
    pub(super) seed: u64,
    drawn: AtomicU64,
}

/// Goods of a world: SKU, price in pounds, units on the shelf.
pub(super) type Goods<'a> = (&'a str, &'a str, i64);

impl World {
    /// A store without a document, and nothing on the way. Only in virtual time.
    pub(super) fn empty(seed: u64, planted: Planted, manners: Manners, kept: Kept) -> Arc<World> {
        let clock = VirtualClock::new();
        Arc::new(World {
            clock,
            store: Store::new(Arc::new(clock), planted, kept),
            provider: Provider::new(planted == Planted::MovesAgain),
            broker: Broker::new(manners, seed),
            letters: Mutex::default(),
            mail_is_down: AtomicBool::new(false),
            bus_is_silent: AtomicBool::new(false),
            store_is_busy: AtomicBool::new(false),
            too_early: Mutex::default(),
            planted,
            seed,
            drawn: AtomicU64::new(0),
        })
    }

    /// A shop with these goods. Only in virtual time.
    pub(super) async fn new(seed: u64, planted: Planted, manners: Manners, goods: &[Goods<'_>]) -> Arc<World> {
        let world = World::empty(seed, planted, manners, Kept::InMemory);
        let mut csv = "sku,title,price,onHand\n".to_owned();
        for (sku, price, on_hand) in goods {
            csv.push_str(&format!("{sku},Goods {sku},{price},{on_hand}\n"));
        }
        let currency = Some(Currency::parse("GBP").unwrap());
        let options = ImportOptions { currency, ..ImportOptions::default() };
        let ports = &world.calm().app.shop.ports;
        let report = Box::pin(import_catalogue(ports, csv.as_bytes(), Format::Csv, &options)).await.unwrap();
        assert_eq!((report.created, report.refused), (goods.len() as u64, 0), "{report:?}");
        world
    }

    /// Other settings than a new store has.
    pub(super) async fn change_settings(self: &Arc<World>, change: impl FnOnce(&mut StoreSettings)) {
        let process = self.calm();
        let documents = process.app.shop.ports.documents.as_ref();
        let seen = settings::read_settings(documents).await.unwrap().unwrap();
        let mut changed = seen.value;
        change(&mut changed);
        let write = settings::put_settings(&changed, Some(&seen.etag)).unwrap();
        documents.write(Container::Stores, settings::STORE, vec![write]).await.unwrap();
    }

    /// What a stocktake found at one place.
    pub(super) async fn count(self: &Arc<World>, sku: &str, location: &str, on_hand: i64) {
        let request = Request::new(Method::PUT, format!("v1/manage/stock/{sku}")).staff().header("if-match", "*");
        let answer =
            request.json(&json!({ "location": location, "onHand": on_hand })).send(&self.calm()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    /// A message that the broker acknowledges. It must tell of something that is stored.
    pub(super) async fn accept(&self, message: &Message) {
        if let Some(partition) = purchase_of(&message.id)
            && message.subject != "checkout.resume"
            && self.planted != Planted::LosesEvents
            && self
                .store
                .read(Container::Purchases, &partition, &format!("outbox:{}", message.id))
                .await
                .is_ok_and(|it| it.is_none())
        {
            self.too_early.lock().unwrap().push(message.id.clone());
        }
        if !(self.planted == Planted::LosesEvents && message.subject == "order.placed") {
            self.broker.accept(message, &self.clock);
        }
    }

    /// A process to which nothing happens.
    pub(super) fn calm(self: &Arc<World>) -> Process {
        Process::start(self, Faults::calm(), time::Duration::ZERO)
    }

    /// A process with this fate.
    pub(super) fn process(self: &Arc<World>, faults: Faults) -> Process {
        Process::start(self, faults, time::Duration::ZERO)
    }

    pub(super) fn draw_ulid(&self) -> Ulid {
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        Ulid::from_parts(1_800_000_000_000 + drawn, (u128::from(self.seed) << 32) + u128::from(drawn))
    }

    /// Lets every message be worked on, in its time, with the timers' ticks, by a process to which nothing
    /// happens, until none is left.
    pub(super) async fn settle(self: &Arc<World>) {
        let fleet = Fleet::new(self, 1, None);
        let (mut idle, mut next_tick) = (0, Instant::now() + TICK);
        for _ in 0..20_000 {
            match self.broker.next_due().filter(|due| *due <= next_tick) {
                Some(due) => {
                    idle = 0;
                    tokio::time::sleep_until(due).await;
                    fleet.deliver_due().await;
                }
                // Rows of the outbox become due some seconds after they were written.
                None => {
                    tokio::time::sleep_until(next_tick).await;
                    next_tick += TICK;
                    rooms::tick(&fleet.any()).await;
                    idle += u32::from(self.broker.next_due().is_none());
                    if idle > 2 {
                        return;
                    }
                }
            }
        }
        panic!("messages without end: {:?}", self.broker.sent().last());
    }
}

/// The store's places, and what a stocktake of a SKU found at each.
pub(super) async fn places(world: &Arc<World>, sku: &str, units: &[(&str, i64)]) {
    let place = |name: &str| StockLocation {
        name: Location::parse(name).unwrap(),
        priority: 0,
        pickup: false,
        title: name.to_owned(),
    };
    world.change_settings(|it| it.stock.locations = units.iter().map(|(name, _)| place(name)).collect()).await;
    for (name, units) in units {
        world.count(sku, name, *units).await;
    }
}

/// The partition of the purchase that an event's id names, if it names one.
fn purchase_of(event: &str) -> Option<String> {
    let at = event.find("ord_").or_else(|| event.find("chk_"))? + 4;
    event.get(at..at + 26).map(|ulid| format!("chk_{ulid}"))
}

/// Processes that share a world. Each is replaced by a new one when it has ended.
pub(super) struct Fleet {
    world: Arc<World>,
    rates: Option<Rates>,
    chance: Chance,
    members: RefCell<Vec<Rc<Process>>>,
    started: AtomicU64,
}

impl Fleet {
    /// `rates`: what goes wrong; each machine's clock is off by up to 2 s then.
    pub(super) fn new(world: &Arc<World>, members: usize, rates: Option<Rates>) -> Fleet {
        let fleet = Fleet {
            world: Arc::clone(world),
            rates,
            chance: Chance::stream(world.seed, "fleet"),
            members: RefCell::default(),
            started: AtomicU64::new(0),
        };
        let started = (0..members).map(|_| fleet.start()).collect();
        *fleet.members.borrow_mut() = started;
        fleet
    }

    fn start(&self) -> Rc<Process> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        Rc::new(match self.rates {
            None => self.world.calm(),
            Some(rates) => {
                let chance = Chance::stream(self.world.seed, &format!("process {number}"));
                let skew = i64::try_from(chance.below(4_001)).unwrap() - 2_000;
                Process::start(&self.world, Faults::drawn(rates, chance), time::Duration::milliseconds(skew))
            }
        })
    }

    /// One of them; whoever has ended is started again.
    pub(super) fn any(&self) -> Rc<Process> {
        let mut members = self.members.borrow_mut();
        let at = self.chance.index(members.len());
        if members[at].faults.is_dead() {
            members[at] = self.start();
        }
        Rc::clone(&members[at])
    }

    /// How many processes were started over all.
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }

    async fn deliver(&self, envelope: super::broker::Envelope) {
        let process = self.any();
        let message = &envelope.message;
        let what = (message.id.as_str(), message.body.as_str());
        match rooms::deliver(&process, &message.destination, what, envelope.deliveries + 1).await {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                let rest = Limits::default().rest(envelope.deliveries + 1);
                self.world.broker.give_back(envelope, rest, &reason);
            }
            None => self.world.broker.give_back(envelope, LOCK, "the lock was lost"),
        }
    }

    /// What is due now, all at once, to its end.
    pub(super) async fn deliver_due(&self) {
        let mut running: FuturesUnordered<_> =
            self.world.broker.take_due().into_iter().map(|it| self.deliver(it)).collect();
        while running.next().await.is_some() {}
    }

    /// The broker and the timers, until told to stop.
    pub(super) async fn serve(&self, mut stop: watch::Receiver<bool>) {
        let mut running = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let due = self.world.broker.next_due();
            tokio::select! {
                biased;
                done = stop.wait_for(|it| *it) => {
                    done.unwrap();
                    return;
                }
                Some(()) = running.next(), if !running.is_empty() => {}
                _ = tick.tick() => rooms::tick(&self.any()).await,
                () = self.world.broker.came() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    running.extend(self.world.broker.take_due().into_iter().map(|it| self.deliver(it)));
                }
            }
        }
    }
}
