//! Saved stores and buses, one folder for each form that was ever deployed: the present build opens every one of
//! them, in memory and in a SQLite file, reads every document and message, and finishes what was under way.
//!
//! A document or message of another form than the newest folder has makes a test fail until a folder of today is
//! added; what it then says is how.
mod fixture;
mod make;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::Method;
use offpeak::shared::ports::documents::Container;
use serde_json::{Value, json};

use super::{
    local::Kept,
    rest::at_rest,
    rooms::{Answer, Request},
    time::{in_virtual_time, pass},
    world::World,
};
use crate::tidy;
use fixture::{Fixture, SavedBuyer, SavedDocument, all, home};

/// Names the folder to write, e.g. `2026-11`.
const NEW: &str = "OFFPEAK_GOLDEN_NEW";
/// Of one folder.
const BYTES_MAX: u64 = 200 * 1024;
/// How often a buyer asks again.
const TRIES_MAX: u32 = 40;

/// Schemas that no fixture has, and why.
const NOT_STORED: [(&str, &str); 7] = [
    ("answer/1", "only read, from before an answer said whether anything was left to do"),
    ("clicks/1", "goes through the hub"),
    ("hold/1", "only read, from before there were locations"),
    ("level/1", "only read, from before there were locations"),
    ("live/1", "stands among the objects"),
    ("movement/1", "only read, from before there were locations"),
    ("publication/1", "stands among the objects"),
];

/// Every member of every kind of document and message that a fixture holds, as `kind: path type`.
fn shape(fixture: &Fixture) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    for SavedDocument { body, .. } in &fixture.documents {
        members(body["schema"].as_str().unwrap_or("without schema"), body, "", &mut shape);
    }
    for message in fixture.bus.iter().filter(|it| it.body != "{}") {
        let body = serde_json::from_str(&message.body).unwrap();
        members(&format!("{} {}", message.destination, message.subject), &body, "", &mut shape);
    }
    shape
}

/// Null says nothing about the type of what may stand there.
fn members(kind: &str, value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    let leaf = match value {
        Value::Object(members_) => {
            for (name, value) in members_ {
                let is_data = name.chars().any(|it| !it.is_ascii_alphabetic() && it != '_');
                members(kind, value, &format!("{path}.{}", if is_data { "*" } else { name }), shape);
            }
            return;
        }
        Value::Array(items) => {
            items.iter().for_each(|it| members(kind, it, &format!("{path}[]"), shape));
            return;
        }
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
    };
    shape.insert(format!("{kind}: {path} {leaf}"));
}

fn newest() -> (String, Fixture) {
    all().pop_last().expect("there is a golden fixture")
}

/// Writes a new folder when asked to; otherwise the newest one must have the form of what is written today.
#[test]
fn the_newest_fixture_has_the_form_of_what_is_stored_and_sent_today() {
    let today = in_virtual_time(Box::pin(make::made()));
    if let Some(name) = std::env::var_os(NEW) {
        let folder = home().join(name);
        assert!(!folder.exists(), "{} is there already; what was written by an older build stays", folder.display());
        today.write(&folder);
    }
    let (name, newest) = newest();
    let (was, is) = (shape(&newest), shape(&today));
    let gone: Vec<_> = was.difference(&is).collect();
    let new: Vec<_> = is.difference(&was).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "what is stored or sent has another form than in {name}.\nnew: {new:#?}\ngone: {gone:#?}\n\
         Add a fixture, named by the month: {NEW}=YYYY-MM cargo xtask test it golden::the_newest_fixture_has_the_form"
    );
    let bytes: u64 = home().join(&name).read_dir().unwrap().map(|it| it.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= BYTES_MAX, "{name} has {bytes} bytes");
}

#[test]
fn every_kind_of_document_stands_in_the_newest_fixture() {
    let mut known = BTreeSet::new();
    for file in tidy::tree().iter().filter(|it| it.path.starts_with("shared/documents/")) {
        let lines = file.text.lines().map(str::trim).filter(|it| it.contains("const SCHEMA: &") && it.contains('"'));
        known.extend(lines.map(|it| it.split('"').nth(1).unwrap().to_owned()));
    }
    assert!(known.len() > 25, "the schemas were not found: {known:?}");
    let stored = newest().1.documents.into_iter().filter_map(|it| it.body["schema"].as_str().map(str::to_owned));
    let excepted = NOT_STORED.iter().map(|(schema, _)| (*schema).to_owned());
    let found: BTreeSet<String> = stored.chain(excepted).collect();
    assert_eq!(found, known, "what the fixture and the list of exceptions have, and what the code knows");
}

#[test]
fn the_newest_fixture_has_a_purchase_in_every_stage() {
    let (_, fixture) = newest();
    let of = |schema: &str| -> Vec<_> {
        let found = fixture.documents.iter().filter(|it| it.body["schema"] == schema);
        found.map(|it| it.body.clone()).collect()
    };
    let checkouts = of("checkout/1");
    for stage in ["\"open\"", "\"holding\"", "\"paying\"", "\"action_required\"", "\"finalising\"", "\"placed\""] {
        let found = checkouts.iter().any(|it| it["state"].to_string().contains(stage));
        assert!(found, "no checkout is {stage}");
    }
    assert!(of("outbox/1").iter().any(|it| it.get("due").is_some()), "every event was sent");
    assert!(of("order/1").iter().any(|it| it["onHold"].is_string()), "no order is on hold");
    assert!(of("order/1").iter().any(|it| it["lifecycle"] == "pending"), "no order is pending");
}

/// Whoever may look at a document looks at it: each room reads by the document's own type.
async fn everything_can_be_read(world: &Arc<World>, fixture: &Fixture) -> Result<(), String> {
    let calm = world.calm();
    let mut paths = BTreeSet::from([
        "v1/products".to_owned(),
        "v1/manage/settings".to_owned(),
        "v1/manage/promotions".to_owned(),
        "v1/manage/inventory-sync".to_owned(),
        "v1/manage/rejected-stock-updates".to_owned(),
    ]);
    for SavedDocument { partition, id, body, .. } in &fixture.documents {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let path = match body["schema"].as_str().unwrap_or_default().split('/').next().unwrap_or_default() {
            "product" => format!("v1/products/{}", text(&body["product"]["slug"])),
            "level" => format!("v1/manage/stock/{}", text(&body["sku"])),
            "movement" => format!("v1/manage/stock/{partition}/movements"),
            "order" if !body["placedAt"].is_null() => format!("v1/manage/orders/{}", partition.replace("chk_", "ord_")),
            "promotion" => format!("v1/manage/promotions/{}", id.trim_start_matches("promotion:")),
            "price_list" => format!("v1/manage/price-lists/{}", id.trim_start_matches("price-list:")),
            "refresh" | "models" => "v1/manage/recommendations".to_owned(),
            "job" => format!("v1/manage/verify/{partition}"),
            _ => continue,
        };
        assert!(!path.ends_with('/') && !path.contains("//"), "{id} names nothing: {body}");
        paths.insert(path);
    }
    let mut asked: Vec<_> = paths.into_iter().map(|it| Request::new(Method::GET, it).staff()).collect();
    for buyer in &fixture.buyers {
        let buyer = buyer.buyer();
        let cart = Request::new(Method::GET, format!("v1/carts/cart_{}", buyer.ulid));
        asked.push(cart.header("x-cart-token", buyer.token.as_str()));
    }
    for request in asked {
        let shown = format!("{request:?}");
        let answer = request.send(&calm).await.unwrap();
        // A cart may be over by now.
        let over = shown.contains("v1/carts/") && matches!(answer.status, 404 | 410);
        if !matches!(answer.status, 200 | 202) && !over {
            return Err(format!("{} {} to {shown}", answer.status, answer.json()));
        }
    }
    Ok(())
}

/// Nothing is under way any more, and nobody's money is anywhere without an order.
async fn finished(world: &Arc<World>) -> Result<(), String> {
    if let Some((message, reason)) = world.broker.dead().first() {
        return Err(format!("{} was given up: {reason}", message.id));
    }
    for ((checkout, id), body) in world.store.everything(Container::Purchases).await {
        if id == "checkout" && body["state"].to_string().contains("completing") {
            return Err(format!("{checkout} is still under way: {body}"));
        }
    }
    at_rest(world).await
}

/// Nobody comes back; broker and timers finish everything.
async fn alone(fixture: &Fixture, kept: Kept, later: u64) -> Result<(), String> {
    let world = fixture.open(kept, later).await;
    everything_can_be_read(&world, fixture).await?;
    world.settle().await;
    finished(&world).await?;
    everything_can_be_read(&world, fixture).await
}

async fn insist(world: &Arc<World>, saved: &SavedBuyer) -> Answer {
    let buyer = saved.buyer();
    for _ in 0..TRIES_MAX {
        let answer = buyer.complete(&world.calm(), "first", &saved.method).await.unwrap();
        if answer.is_final() {
            return answer;
        }
        pass(u64::from(answer.retry_after_s.unwrap_or(1))).await;
    }
    panic!("no final answer to {saved:?}");
}

/// Every buyer asks again, with the key of before, and gets the order once.
async fn together(fixture: &Fixture, kept: Kept) -> Result<(), String> {
    let world = fixture.open(kept, 1).await;
    world.provider.answer_challenges(true);
    for saved in &fixture.buyers {
        let answer = insist(&world, saved).await;
        let right = if saved.method == "decline" { 402 } else { 200 };
        if answer.status != right {
            return Err(format!("{saved:?} got {} {}", answer.status, answer.json()));
        }
    }
    world.settle().await;
    let ledger = world.provider.ledger();
    for saved in fixture.buyers.iter().filter(|it| it.method != "decline") {
        let buyer = saved.buyer();
        let taken: Vec<_> = ledger.values().filter(|it| it.checkout == buyer.checkout() && it.captured > 0).collect();
        if taken.len() != 1 || taken[0].captured.to_string() != buyer.total["amount"].as_str().unwrap_or_default() {
            return Err(format!("{saved:?} has paid {taken:?}"));
        }
    }
    finished(&world).await
}

fn each(run: impl AsyncFn(&Fixture, Kept) -> Result<(), String>) {
    let fixtures: BTreeMap<String, Fixture> = all();
    assert!(!fixtures.is_empty(), "there is no golden fixture");
    for (name, fixture) in fixtures {
        assert!(fixture.buyers.len() > 5 && fixture.documents.len() > 50, "{name} holds next to nothing");
        for kept in [Kept::InMemory, Kept::OnDisk] {
            if let Err(err) = in_virtual_time(Box::pin(run(&fixture, kept))) {
                panic!("{name}, {kept:?}: {err}");
            }
        }
    }
}

#[test]
fn what_every_older_build_left_under_way_is_finished_by_this_one() {
    each(async |fixture, kept| alone(fixture, kept, 1).await);
}

#[test]
fn what_was_left_under_way_for_two_days_is_finished_too() {
    each(async |fixture, kept| alone(fixture, kept, 2 * 24 * 3_600).await);
}

#[test]
fn who_asks_again_after_the_update_gets_the_order_once() {
    each(async |fixture, kept| together(fixture, kept).await);
}

#[test]
fn a_document_that_this_build_cannot_read_is_noticed() {
    let (_, fixture) = newest();
    for schema in ["product/1", "level/2", "order/1", "job/1", "cart/1", "promotion/1"] {
        let mut torn = fixture.clone();
        for document in torn.documents.iter_mut().filter(|it| it.body["schema"] == schema) {
            document.body["schema"] = json!("older/0");
        }
        let found = in_virtual_time(Box::pin(async {
            everything_can_be_read(&torn.open(Kept::InMemory, 1).await, &fixture).await
        }));
        assert!(found.is_err(), "{schema} could not be read and nobody noticed");
    }
}

#[test]
fn a_member_that_is_new_gone_or_of_another_type_is_noticed() {
    let of = |body: Value| {
        let mut found = BTreeSet::new();
        members("a/1", &body, "", &mut found);
        found
    };
    let old = of(json!({ "a": [{ "b": 1 }], "k-1": null }));
    assert_eq!(old, of(json!({ "a": [{ "b": 2 }, { "b": 3 }], "k-2": null })));
    for new in [json!({ "a": [{ "b": 1 }] }), json!({ "a": [{ "b": "1" }], "k-1": null })] {
        assert_ne!(old, of(new));
    }
}
