//! A world as files, one line for each document, message and payment, so that a person can read what changed; and a
//! world made of such files under the present build.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use offpeak::shared::ports::{
    bus::Message,
    clock::Clock as _,
    documents::{Container, Write},
};
use offpeak_domain::money::{Currency, Money};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::OffsetDateTime;

use super::super::{
    broker::Manners,
    buyer::Buyer,
    local::Kept,
    planted::Planted,
    provider::{Entry, Status},
    time::pass,
    world::World,
};

/// When every world of the proof begins.
const BEGIN: i64 = 1_800_000_000;
/// Draws of a world that was opened are none of the world that was saved.
const SEED: u64 = 7_777;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedDocument {
    pub(super) container: String,
    pub(super) partition: String,
    pub(super) id: String,
    /// Seconds.
    ttl: Option<u64>,
    pub(super) body: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedMessage {
    pub(super) destination: String,
    id: String,
    session: Option<String>,
    pub(super) subject: String,
    /// Unix seconds.
    scheduled: Option<i64>,
    pub(super) body: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedPayment {
    reference: String,
    checkout: String,
    method: String,
    amount: i64,
    currency: String,
    status: String,
    authorised: i64,
    captured: i64,
    refunded: i64,
    voided: i64,
    moves: BTreeMap<String, i64>,
}

/// A buyer who had begun to pay, or was about to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedBuyer {
    ulid: String,
    token: String,
    total: Value,
    pub(super) method: String,
}

impl SavedBuyer {
    pub(super) fn new(buyer: &Buyer, method: &str) -> SavedBuyer {
        let Buyer { ulid, token, total } = buyer.clone();
        SavedBuyer { ulid, token, total, method: method.to_owned() }
    }

    pub(super) fn buyer(&self) -> Buyer {
        Buyer { ulid: self.ulid.clone(), token: self.token.clone(), total: self.total.clone() }
    }
}

/// One folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixture {
    pub(super) documents: Vec<SavedDocument>,
    /// All that was ever sent: a broker may deliver it again.
    pub(super) bus: Vec<SavedMessage>,
    payments: Vec<SavedPayment>,
    pub(super) buyers: Vec<SavedBuyer>,
    /// When it was saved, in Unix seconds.
    saved: i64,
}

impl Fixture {
    /// A world as it is now.
    pub(super) async fn of(world: &World, buyers: Vec<SavedBuyer>) -> Fixture {
        let mut documents = Vec::new();
        for container in Container::ALL {
            for ((partition, id), body) in world.store.everything(container).await {
                let ttl = world.store.kept_for(container, &partition, &id).map(|it| it.as_secs());
                documents.push(SavedDocument { container: container.name().to_owned(), partition, id, ttl, body });
            }
        }
        let mut known = BTreeSet::new();
        let sent = world.broker.sent().into_iter().filter(|it| known.insert(it.id.clone()));
        let bus = sent.map(saved_message).collect();
        let payments = world.provider.ledger().into_iter().map(|(reference, it)| saved_payment(reference, it));
        Fixture { documents, bus, payments: payments.collect(), buyers, saved: world.clock.now().unix_timestamp() }
    }

    pub(super) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        write_lines(folder, "documents.jsonl", &self.documents);
        write_lines(folder, "bus.jsonl", &self.bus);
        write_lines(folder, "payments.jsonl", &self.payments);
        write_lines(folder, "buyers.jsonl", &self.buyers);
        fs::write(folder.join("saved"), format!("{}\n", self.saved)).unwrap();
    }

    pub(super) fn read(folder: &Path) -> Fixture {
        Fixture {
            documents: read_lines(folder, "documents.jsonl"),
            bus: read_lines(folder, "bus.jsonl"),
            payments: read_lines(folder, "payments.jsonl"),
            buyers: read_lines(folder, "buyers.jsonl"),
            saved: fs::read_to_string(folder.join("saved")).unwrap().trim().parse().unwrap(),
        }
    }

    /// The world as it was, some seconds later. Only in virtual time.
    pub(super) async fn open(&self, kept: Kept, later: u64) -> Arc<World> {
        let world = World::empty(SEED, Planted::Nothing, Manners::GOOD, kept);
        pass(u64::try_from(self.saved - BEGIN).unwrap()).await;
        for saved in &self.documents {
            let container = Container::ALL.into_iter().find(|it| it.name() == saved.container).unwrap();
            let ttl = saved.ttl.map(Duration::from_secs);
            let write = Write::Create { id: saved.id.clone(), body: saved.body.clone(), ttl };
            world.store.write(container, &saved.partition, vec![write]).await.unwrap();
        }
        world.provider.restore(self.payments.iter().map(|it| (it.reference.clone(), entry(it))).collect());
        for saved in &self.bus {
            world.accept(&message(saved)).await;
        }
        pass(later).await;
        world
    }
}

fn write_lines<T: Serialize>(folder: &Path, name: &str, items: &[T]) {
    let lines: Vec<_> = items.iter().map(|it| serde_json::to_string(it).unwrap() + "\n").collect();
    fs::write(folder.join(name), lines.concat()).unwrap();
}

fn read_lines<T: DeserializeOwned>(folder: &Path, name: &str) -> Vec<T> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    text.lines().map(|it| serde_json::from_str(it).unwrap_or_else(|err| panic!("{name}: {err}: {it}"))).collect()
}

fn saved_message(message: Message) -> SavedMessage {
    let Message { destination, id, session, subject, scheduled, body } = message;
    SavedMessage { destination, id, session, subject, scheduled: scheduled.map(OffsetDateTime::unix_timestamp), body }
}

fn message(saved: &SavedMessage) -> Message {
    let SavedMessage { destination, id, session, subject, scheduled, body } = saved.clone();
    let scheduled = scheduled.map(|it| OffsetDateTime::from_unix_timestamp(it).unwrap());
    Message { destination, id, session, subject, scheduled, body }
}

fn saved_payment(reference: String, entry: Entry) -> SavedPayment {
    let status = match entry.status {
        Status::Authorised => "authorised",
        Status::Declined(_) => "declined",
        Status::Asked => "asked",
        Status::Voided => "voided",
    };
    SavedPayment {
        reference,
        checkout: entry.checkout,
        method: entry.method,
        amount: entry.amount.minor(),
        currency: entry.amount.currency().to_string(),
        status: status.to_owned(),
        authorised: entry.authorised,
        captured: entry.captured,
        refunded: entry.refunded,
        voided: entry.voided,
        moves: entry.moves,
    }
}

fn entry(saved: &SavedPayment) -> Entry {
    let status = match saved.status.as_str() {
        "authorised" => Status::Authorised,
        "declined" => Status::Declined("insufficient_funds"),
        "asked" => Status::Asked,
        "voided" => Status::Voided,
        other => panic!("a payment is {other}"),
    };
    Entry {
        checkout: saved.checkout.clone(),
        method: saved.method.clone(),
        amount: Money::new(saved.amount, Currency::parse(&saved.currency).unwrap()),
        status,
        authorised: saved.authorised,
        captured: saved.captured,
        refunded: saved.refunded,
        voided: saved.voided,
        moves: saved.moves.clone(),
    }
}

/// Where the folders are.
pub(super) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/proof/golden")
}

/// Every fixture there is by name, the newest last.
pub(super) fn all() -> BTreeMap<String, Fixture> {
    let folders = fs::read_dir(home()).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_dir());
    let named = folders.map(|it| (it.file_name().unwrap().to_str().unwrap().to_owned(), Fixture::read(&it)));
    named.collect()
}
