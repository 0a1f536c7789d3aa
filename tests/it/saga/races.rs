//! A run stops at each of its effects without dying: a machine that stood still. Another takes over when the
//! lease has lapsed; then the first wakes up, and must change nothing.
use std::{collections::BTreeMap, pin::pin};

use futures_util::{StreamExt as _, stream};
use offpeak::shared::ports::documents::Document;

use super::{
    Case, Cases,
    acts::SCENARIOS,
    check::everything,
    crashes::{After, Stage, effects_of},
    effects::{Effects, Fate},
    provider::Entry,
    world::{Planted, World},
};

/// Cases side by side.
const AT_ONCE: usize = 32;

/// What the sleeper must leave alone: all but the marks on what it sent, and the answer to its own key.
async fn world_as_is(world: &World) -> Still {
    let mut documents = everything(world).await;
    documents.retain(|_, it| !it.id.starts_with("outbox:") && !it.id.starts_with("answer:"));
    (documents, world.provider.ledger())
}

pub(super) async fn overtaken(stage: &Stage, (at, fate): (u32, Fate), after: After) -> Result<(), String> {
    let effects = Effects::with(at, fate);
    let shop = stage.world.process(&effects);
    let mut sleeper = pin!(stage.insist(&shop));
    let slept = tokio::select! {
        biased;
        done = &mut sleeper => done.map(|()| false)?,
        () = effects.hit() => true,
    };
    if !slept {
        return stage.end(After::SameKey, u64::from(at)).await;
    }
    let done = async {
        stage.after(after, None).await.map_err(|err| format!("the second: {err}"))?;
        let before = world_as_is(&stage.world).await;
        effects.thaw();
        sleeper.await.map_err(|err| format!("the sleeper: {err}"))?;
        let changed = difference(&before, &world_as_is(&stage.world).await);
        // Where the first call never began, or another key was refused since, waking up is beginning again.
        let begins = at == 0 || after == After::OtherKey && stage.scenario.units[1] > 5;
        if !begins && !changed.is_empty() {
            return Err(format!("the sleeper changed {changed:?}"));
        }
        stage.end(after, u64::from(at)).await
    };
    done.await.map_err(|err| format!("{err}\n    {:?}", effects.disturbed()))
}

type Still = (BTreeMap<String, Document>, BTreeMap<String, Entry>);

fn difference(before: &Still, after: &Still) -> Vec<String> {
    // That the cart is an order stays true, and may be written down by anyone at any time.
    let ordered = |it: &Document| it.body.get("orderId").is_some();
    let documents =
        after.0.iter().filter(|(place, it)| before.0.get(*place) != Some(it) && !ordered(it)).map(|(place, _)| place);
    let payments = after.1.iter().filter(|(place, it)| before.1.get(*place) != Some(it)).map(|(place, _)| place);
    documents.chain(payments).cloned().collect()
}

/// Whoever sleeps in a change of stock, or arms a look meanwhile, holds the process's turn at that SKU: others
/// wait a little, so these cases run side by side.
#[tokio::test]
async fn a_run_that_was_overtaken_changes_nothing() {
    let mut cases = Cases::new();
    let mut waiting: Vec<Case<'static>> = Vec::new();
    for scenario in SCENARIOS {
        for (at, effect) in (0..).zip(effects_of(scenario).await) {
            for fate in [Fate::FreezeBefore, Fate::FreezeAfter] {
                for after in [After::SameKey, After::Messages, After::OtherKey] {
                    let name = format!("{}, {fate:?} {at}, overtaken by {after:?}", scenario.name);
                    let stage = Stage::new(scenario, Planted::Nothing).await;
                    if effect.contains("write stock") || effect.contains("resume-") {
                        // Each costs real seconds: two ways to pay, which hold, claim and release, stand for all.
                        if !matches!(scenario.name, "approve" | "decline") || after == After::Messages {
                            continue;
                        }
                        let case = async move { (name, overtaken(&stage, (at, fate), after).await) };
                        waiting.push(Box::pin(case));
                    } else {
                        cases.add(&name, overtaken(&stage, (at, fate), after).await);
                    }
                }
            }
        }
    }
    for (name, done) in stream::iter(waiting).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        cases.add(&name, done);
    }
    cases.end(400);
}
