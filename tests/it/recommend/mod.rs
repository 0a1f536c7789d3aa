//! Recommendations in the shop: the room, the models that a process finds and fetches, and how they are made.
#[cfg(feature = "proof")]
mod cards;
mod first_stage;
mod gate;
mod models;
mod outcomes;
mod planted;
mod refresh;
mod roll_back;
mod rooms;
mod shoppers;
mod steps;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::{
    functions::ROOMS,
    shared::{
        adapters::{memory::MemoryDocuments, memory_cache::MemoryCache, system::RandomIds},
        app::App,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::{
            Shop,
            publications::{Publication, publish},
            recommendations::{Cadence, MODEL, Recommender},
        },
        ports::{
            Ports,
            cache::Cache,
            clock::Clock,
            identity::{Caller, Identity, IdentityError},
            objects::ObjectName,
        },
    },
};
use offpeak_domain::recommend::{Builder, Click, Kind, Params, Stage};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{catalogue::stand::Stand, documents_contract::HandClock, shop::PATIENCE};

/// What is for sale; nothing is left of the lamp, and the draft is not shown.
const GOODS: &str = "sku,product,title,price,category,onHand\n\
    TENT,tent,Tent,90.00,Camping,9\n\
    MAT,mat,Mattress,40.00,Camping,9\n\
    STOVE,stove,Stove,30.00,Camping,9\n\
    LAMP,lamp,Lamp,12.00,Camping,0\n\
    PRINTER,printer,Printer,80.00,Office,9\n\
    TONER,toner,Toner,60.00,Office,9\n\
    PAPER,paper,Paper,5.00,Office,9\n\
    TEE-S,tee,Tee,20.00,Clothes,9\n\
    TEE-M,tee,Tee,20.00,Clothes,9\n";

/// Asks whenever it may.
const AT_ONCE: Cadence = Cadence { model: Duration::ZERO, last_hour: Duration::ZERO };

/// A shop's stores, and a folder for models.
pub(super) struct Goods {
    pub(super) stand: Stand,
    pub(super) ports: Ports,
    pub(super) clock: Arc<HandClock>,
    pub(super) folder: TempDir,
}

impl Goods {
    pub(super) async fn new() -> Goods {
        Goods::of(GOODS).await
    }

    /// A shop that sells this.
    pub(super) async fn of(list: &str) -> Goods {
        let clock = HandClock::new();
        let documents = Arc::new(MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let stand = Stand::on(documents, Arc::clone(&clock) as Arc<dyn Clock>);
        stand.load(list).await;
        let cache = Arc::new(MemoryCache::new(Arc::clone(&stand.ports.clock))) as Arc<dyn Cache>;
        let ports = Ports { ids: Arc::new(RandomIds), cache, ..stand.ports.clone() };
        Goods { stand, ports, clock, folder: tempfile::tempdir().unwrap() }
    }

    /// A process of this shop.
    pub(super) async fn open(&self) -> Server {
        self.open_with(self.ports.clone()).await
    }

    /// It takes the time that it needs, so that a pause of a busy machine leaves nothing out.
    pub(super) async fn open_with(&self, ports: Ports) -> Server {
        self.open_within(ports, PATIENCE).await
    }

    /// It takes no more time than that.
    pub(super) async fn open_within(&self, ports: Ports, patience: Duration) -> Server {
        let mut shop = self.shop(ports);
        (shop.recommender.deadline, shop.recommender.ready_patience) = (patience, patience);
        Server::start(shop).await
    }

    /// What a process of this shop works with.
    pub(super) fn shop(&self, ports: Ports) -> Shop {
        let mut shop = Shop::new(ports);
        shop.recommender = Recommender::in_folder(self.folder.path().to_owned(), AT_ONCE);
        shop
    }

    pub(super) async fn publish(&self, series: &str, file: Vec<u8>) -> String {
        let mut publishing = publish(&self.ports, &ObjectName::parse(series).unwrap()).await.unwrap();
        publishing.write(Bytes::from(file)).await.unwrap();
        let Publication { object, .. } = publishing.finish().await.unwrap();
        object.as_str().rsplit('/').next().unwrap().to_owned()
    }

    pub(super) async fn publish_model(&self, builder: Builder) -> String {
        self.publish(MODEL, builder.finish(Stage::Whole)).await
    }
}

/// A token is a scope.
struct Staff;

#[async_trait]
impl Identity for Staff {
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError> {
        Ok(Caller { subject: "ada".to_owned(), roles: Vec::new(), scopes: vec![token.to_owned()] })
    }
}

/// The rooms of one process on a socket; ends with the test.
pub(super) struct Server {
    url: String,
    client: Client,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(shop: Shop) -> Server {
        let app = Arc::new(App::new(shop, Arc::new(Staff)));
        let listener = bind(0, Duration::ZERO).await.unwrap();
        let url = format!("http://{}/api/v1/recommendations", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Server { url, client: Client::new(), _serving: serving }
    }

    async fn get(&self, query: &str) -> (u16, Value) {
        self.answer(self.client.get(format!("{}{query}", self.url))).await
    }

    /// What staff with this scope are told of the last run.
    pub(super) async fn last_run(&self, scope: &str) -> (u16, Value) {
        let url = self.url.replace("/recommendations", "/manage/recommendations");
        self.answer(self.client.get(url).bearer_auth(scope)).await
    }

    async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    pub(super) async fn list(&self, query: &str) -> Value {
        let (status, list) = self.get(query).await;
        assert_eq!(status, 200, "{query}: {list}");
        list
    }

    pub(super) async fn skus(&self, query: &str) -> Vec<String> {
        skus(&self.list(query).await)
    }

    /// Asks until the list is as it should be.
    pub(super) async fn until(&self, query: &str, is_good: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let list = self.list(query).await;
                if is_good(&list) {
                    return list;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain with {query}"))
    }

    /// Asks until this model answers.
    pub(super) async fn until_model(&self, version: &str) {
        self.until("?surface=trending", |it| it["modelVersion"] == version).await;
    }
}

pub(super) fn skus(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|it| it["sku"].as_str().unwrap().to_owned()).collect()
}

/// Sessions that follow each other on a day, and what the catalogue says.
pub(super) fn builder(sessions: &[(&[&str], Kind)]) -> Builder {
    let mut builder = Builder::new(&Params::default());
    for (item, category) in [("TENT", "camping"), ("MAT", "camping"), ("STOVE", "camping"), ("PAPER", "office")] {
        builder.describe(item, category, [item]);
    }
    for (at, (items, kind)) in (1_700_000_000..).zip(sessions) {
        builder.add(at, items.iter().map(|item| Click { item, kind: *kind }));
    }
    builder
}
