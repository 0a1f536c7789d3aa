//! What must be true of a world at rest: the shop's own check of its store finds nothing, the provider keeps
//! nobody's money, every event reached the broker, and nobody got a letter twice.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::Method;
use offpeak::shared::ports::documents::Container;
use serde_json::Value;

use super::{rooms::Request, time::pass, world::World};

/// Longer than the check waits for a purchase to be quiet.
const QUIET_S: u64 = 5 * 60;

/// The answer of `POST /v1/manage/verify` once everything is quiet.
pub(super) async fn verified(world: &Arc<World>) -> Value {
    pass(QUIET_S).await;
    let process = world.calm();
    let mut answer = Request::new(Method::POST, "v1/manage/verify").staff().send(&process).await.unwrap();
    for _ in 0..1_000 {
        match answer.status {
            200 => return answer.json(),
            202 => {
                let at = answer.headers["location"].to_str().unwrap().trim_start_matches("/api/").to_owned();
                pass(61).await;
                answer = Request::new(Method::GET, at).staff().send(&process).await.unwrap();
            }
            other => panic!("{other}: {}", answer.json()),
        }
    }
    panic!("the check does not end");
}

/// Everything that must hold, or what does not.
pub(super) async fn at_rest(world: &Arc<World>) -> Result<(), String> {
    let report = verified(world).await;
    if report["ok"] != true {
        let wrong = report["invariants"].as_array().unwrap().iter().flat_map(|it| it["violations"].as_array().unwrap());
        return Err(wrong.map(|it| format!("{}: {}", it["subject"], it["detail"])).collect::<Vec<_>>().join("; "));
    }
    if report["busy"] != 0 {
        return Err(format!("{} subjects are not at rest", report["busy"]));
    }
    events(world).await?;
    letters(world)?;
    holds(world).await
}

/// Every event of a committed change was acknowledged by the broker, and none of a change that never was.
async fn events(world: &World) -> Result<(), String> {
    let sent: BTreeSet<_> = world.broker.sent().into_iter().map(|it| it.id).collect();
    for ((_, id), body) in world.store.everything(Container::Purchases).await {
        let Some(event) = id.strip_prefix("outbox:") else { continue };
        if !sent.contains(event) {
            return Err(format!("event {event} never reached the broker"));
        }
        if body.get("due").is_some() {
            return Err(format!("event {event} is not marked sent"));
        }
    }
    let early = world.too_early.lock().unwrap();
    match early.first() {
        Some(event) => Err(format!("event {event} was sent before its change was stored")),
        None => Ok(()),
    }
}

/// The mail service drops a letter whose name it knows, as ours does; each was handed over at least once.
fn letters(world: &World) -> Result<(), String> {
    let letters = world.letters.lock().unwrap();
    let mut texts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for letter in letters.iter() {
        texts.entry(&letter.event_id).or_default().insert(&letter.text);
    }
    match texts.iter().find(|(_, texts)| texts.len() > 1) {
        Some((event, _)) => Err(format!("two different letters are named {event}")),
        None => Ok(()),
    }
}

/// Nothing is held any more for anyone.
async fn holds(world: &World) -> Result<(), String> {
    for (reference, entry) in world.provider.ledger() {
        if entry.is_held() && entry.captured == 0 && entry.status == super::provider::Status::Asked {
            return Err(format!("{reference} still waits for its buyer: {entry:?}"));
        }
    }
    Ok(())
}
