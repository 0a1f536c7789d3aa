//! The world that is saved: one of everything that the shop stores or sends, and a purchase stopped after each of
//! its effects.
use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use offpeak::shared::{
    documents::{
        models::{Hold, KeptFile, KeptModel, Models, write_models},
        recommendations::{Judged, keep_outcomes},
    },
    operations::{
        recommendations::{FIRST, MODEL},
        sync_inventory::sync_inventory,
        verify::{Ask, Limits, Verified, verify},
    },
    ports::{
        bus::Message,
        clock::Clock as _,
        inventory::{Feed, FeedBody, FeedError, FeedFormat, Fetched, InventoryFeed},
    },
};
use offpeak_domain::{
    allowance::CustomerLimit,
    recommend::{Outcome, Surface},
    sku::Sku,
    store::SkuLimit,
};
use serde_json::{Value, json};
use time::Duration;

use super::{
    super::{
        broker::Manners,
        buyer::{Buyer, good},
        changing::Change,
        faults::{Fate, Faults},
        planted::Planted,
        rooms::Request,
        world::{World, places},
    },
    fixture::{Fixture, SavedBuyer},
};

const SEED: u64 = 26;
/// More effects than a completion has.
const EFFECTS_MAX: u32 = 40;

/// Everything, saved in the middle of it.
pub(super) async fn made() -> Fixture {
    let world = World::new(SEED, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 100), ("KITE", "7.50", 40)]).await;
    places(&world, "KITE", &[("main", 20), ("north", 20)]).await;
    let per_customer = Some(CustomerLimit { units: 90, days: 30 });
    let limited = SkuLimit { sku: Sku::parse("KITE").unwrap(), min: 1, max: 50, per_customer };
    world.change_settings(|it| it.limits.skus.push(limited)).await;
    offers(&world).await;
    orders(&world).await;
    feeds(&world).await;
    recommended(&world).await;
    world.settle().await;
    job(&world).await;
    let mut buyers = vec![back_from_the_bank(&world).await];
    buyers.extend(carts(&world).await);
    buyers.extend(interrupted(&world).await);
    Fixture::of(&world, buyers).await
}

async fn put(world: &Arc<World>, path: String, if_match: &str, body: &Value) {
    let request = Request::new(Method::PUT, path).staff().header("if-match", if_match);
    good(request.json(body).send(&world.calm()).await);
}

async fn post(world: &Arc<World>, path: String, key: &str, body: &Value) {
    let request = Request::new(Method::POST, path).staff().header("idempotency-key", key);
    good(request.json(body).send(&world.calm()).await);
}

/// Promotions with and without limits, a gift, codes of one use, a price list.
async fn offers(world: &Arc<World>) {
    let coded = |trigger: Value, effect: Value, uses: Value| {
        json!({ "title": "An offer", "trigger": trigger, "effect": effect, "combinesWith": ["product", "order"],
            "uses": uses })
    };
    let ten = json!({ "order_percent": { "millionths": 100_000 } });
    let gift = json!({ "gift": { "sku": "KITE", "units": 1 } });
    let limits = json!({ "total": 30, "perCustomer": 20 });
    let forms = [
        ("ten", coded(json!({ "coded": { "codes": ["TEN"] } }), ten.clone(), limits)),
        ("gift", coded(json!({ "coded": { "codes": ["GIFT"] } }), gift, json!({ "total": 9 }))),
        ("card", coded(json!({ "coded": {} }), ten, json!({}))),
    ];
    for (id, form) in forms {
        put(world, format!("v1/manage/promotions/{id}"), "*", &form).await;
    }
    let wanted = json!({ "batch": "spring", "count": 2, "prefix": "S" });
    post(world, "v1/manage/promotions/card/codes".to_owned(), "codes", &wanted).await;
    let list = json!({ "title": "Bulk", "currency": "GBP",
        "prices": [{ "sku": "BELL", "tiers": [{ "fromUnits": 10, "price": "400" }] }] });
    put(world, "v1/manage/price-lists/bulk".to_owned(), "*", &list).await;
}

async fn bought(world: &Arc<World>, goods: &[(&str, u32)], codes: &[&str]) -> Buyer {
    let mut buyer = Buyer::at_checkout(world, goods).await;
    for code in codes {
        buyer.code(&world.calm(), code).await;
    }
    buyer.start(&world.calm(), "ada@example.org").await;
    good(buyer.complete(&world.calm(), "first", "approve").await);
    buyer
}

/// Orders that were sent, returned, refunded, cancelled, held back, noted, or looked for in vain.
async fn orders(world: &Arc<World>) {
    let calm = world.calm();
    for change in [Change::CancelAll, Change::InspectReturn] {
        let buyer = bought(world, &[("BELL", 2)], &[]).await;
        change.lead_up(&calm, &buyer).await;
        good(change.ask(&calm, &buyer).await);
    }
    let buyer = bought(world, &[("BELL", 2), ("KITE", 30)], &["TEN", "GIFT"]).await;
    let order = format!("v1/manage/orders/{}", buyer.order());
    post(world, format!("{order}/notes"), "note", &json!({ "text": "By the back door." })).await;
    let parcel = json!({ "carrier": "Post", "trackingNumber": "AB1", "trackingUrl": "https://post.example/AB1" });
    let sent = json!({ "lines": [{ "line": 1, "quantity": 1 }], "parcels": [parcel] });
    post(world, format!("{order}/fulfilments"), "ship", &sent).await;
    let units = json!({ "lines": [{ "line": 1, "quantity": 1 }] });
    post(world, format!("{order}/returns"), "return", &units).await;
    let held = bought(world, &[("BELL", 2)], &[]).await;
    good(Change::RefundOne.ask(&calm, &held).await);
    put(world, format!("v1/manage/orders/{}", held.order()), "*", &json!({ "onHold": "Looks odd." })).await;
    let number = held.see_order(&calm).await.json()["number"].clone();
    let guess = json!({ "number": number, "email": "eve@example.org" });
    let answer = Request::new(Method::POST, "v1/orders/lookup").json(&guess).send(&calm).await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.json());
}

/// A feed of one row.
struct OneRow(Option<Bytes>);

#[async_trait]
impl InventoryFeed for OneRow {
    async fn fetch(&self, _etag: Option<&str>) -> Result<Fetched, FeedError> {
        let (etag, body) = (Some("v1".to_owned()), Box::new(OneRow(self.0.clone())));
        Ok(Fetched::New(Feed { etag, format: FeedFormat::Csv, body }))
    }
}

#[async_trait]
impl FeedBody for OneRow {
    async fn chunk(&mut self) -> Result<Option<Bytes>, FeedError> {
        Ok(self.0.take())
    }
}

/// What other systems say about the shelves: one that is right, one that nobody can read, and a file.
async fn feeds(world: &Arc<World>) {
    let said = json!({ "sku": "BELL", "location": "north", "source": "wms", "version": 1, "kind": "absolute",
        "quantity": 5, "at": "2027-01-15T08:00:00Z" });
    for (id, body) in [("stock-1", said.to_string()), ("stock-2", "{}".to_owned())] {
        let (destination, id, subject) = ("stock".to_owned(), id.to_owned(), "stock".to_owned());
        world.accept(&Message { destination, id, session: None, subject, scheduled: None, body }).await;
    }
    world.settle().await;
    let feed = OneRow(Some(Bytes::from_static(b"sku,location,onHand\nBELL,north,6\n")));
    sync_inventory(&world.calm().app.shop, &feed).await.unwrap();
}

/// What came of a day's recommendations; a model that somebody holds, and that a store lost.
async fn recommended(world: &Arc<World>) {
    let process = world.calm();
    let made = BTreeMap::from([(Surface::Next.name(), Outcome { shown: 9, clicked: 2, bought: 1 })]);
    let documents = process.app.shop.ports.documents.as_ref();
    keep_outcomes(documents, world.clock.now().date(), made).await.unwrap();
    let file = |series: &str| KeptFile { object: format!("{series}/versions/01"), bytes: 9, sha256: "ab".repeat(32) };
    let judged = Judged { events: 2_000, live_mrr: Some(0.25), new_mrr: Some(0.5) };
    let (version, at) = ("01".to_owned(), world.clock.now());
    let hold = Hold { version: version.clone(), since: at, until: at + Duration::days(7), by: "ada".to_owned() };
    let (first, whole) = (file(FIRST), file(MODEL));
    let kept = KeptModel { version, at, clicks: 9, sessions: 3, items: 2, judged: Some(judged), first, whole };
    write_models(documents, &Models { hold: Some(hold), kept: vec![kept] }, None).await.unwrap();
}

/// A check that has only begun.
async fn job(world: &Arc<World>) {
    let limits = Limits { purchases: 1, ..Limits::AT_ONCE };
    let begun = verify(&world.calm().app.shop, Ask::ALL, limits).await.unwrap();
    assert!(matches!(begun, Verified::Job(_)), "{begun:?}");
}

/// Carts: an account's, into which a guest's went; one with codes, one of them tried in vain. And begun checkouts.
async fn carts(world: &Arc<World>) -> Vec<SavedBuyer> {
    let calm = world.calm();
    let guest = Buyer::at_checkout(world, &[("KITE", 1)]).await;
    let path = format!("v1/carts/cart_{}/merge", guest.ulid);
    good(Request::new(Method::POST, path).staff().header("x-cart-token", guest.token.as_str()).send(&calm).await);
    let mut coded = Buyer::at_checkout(world, &[("BELL", 1)]).await;
    coded.code(&calm, "TEN").await;
    let path = format!("v1/carts/cart_{}/coupons/NOPE", coded.ulid);
    let tried = Request::new(Method::PUT, path).header("x-cart-token", coded.token.as_str()).send(&calm).await;
    assert!(tried.unwrap().status >= 400);
    coded.start(&calm, "ada@example.org").await;
    let begun = Buyer::at_checkout(world, &[("BELL", 1), ("KITE", 1)]).await;
    let declined = Buyer::at_checkout(world, &[("BELL", 1)]).await;
    assert_eq!(declined.complete(&calm, "first", "decline").await.unwrap().status, 402);
    let at_bank = Buyer::at_checkout(world, &[("BELL", 1)]).await;
    assert_eq!(at_bank.complete(&calm, "first", "challenge").await.unwrap().status, 202);
    let all = [(coded, "approve"), (begun, "approve"), (declined, "decline"), (at_bank, "challenge")];
    all.into_iter().map(|(buyer, method)| SavedBuyer::new(&buyer, method)).collect()
}

/// A buyer whose process ended as soon as it was noted that the money is there.
async fn back_from_the_bank(world: &Arc<World>) -> SavedBuyer {
    let buyer = Buyer::at_checkout(world, &[("BELL", 1)]).await;
    assert_eq!(buyer.complete(&world.calm(), "first", "challenge").await.unwrap().status, 202);
    world.provider.answer_challenges(true);
    // The first effect takes over, the second is the note.
    let process = world.process(Faults::at(1, Fate::CrashAfter));
    assert!(buyer.complete(&process, "first", "challenge").await.is_none());
    SavedBuyer::new(&buyer, "challenge")
}

/// Buyers whose processes ended after one effect each of a completion, and nobody has looked since.
async fn interrupted(world: &Arc<World>) -> Vec<SavedBuyer> {
    let mut stopped = Vec::new();
    // Once the order is placed, one effect in five is enough.
    for effect in (0..EFFECTS_MAX).filter(|it| *it < 12 || it.is_multiple_of(5)) {
        let mut buyer = Buyer::at_checkout(world, &[("BELL", 1)]).await;
        if effect % 2 == 0 {
            buyer.code(&world.calm(), "TEN").await;
            buyer.start(&world.calm(), "ada@example.org").await;
        }
        let process = world.process(Faults::at(effect, Fate::CrashAfter));
        let answer = buyer.complete(&process, "first", "approve").await;
        stopped.push(SavedBuyer::new(&buyer, "approve"));
        if answer.is_some() {
            return stopped;
        }
    }
    panic!("a completion has more than {EFFECTS_MAX} effects");
}
