//! A run dies at each of its effects, before and after it; then someone else comes, or nobody does.
use std::sync::{Arc, Mutex, atomic::Ordering};

use offpeak::shared::{
    documents::purchases::read_checkout,
    operations::{Shop, kept_answers::Rendered},
};

use super::{
    Cases,
    acts::{SCENARIOS, Scenario, buy, only_messages, scenario, settle},
    check::{check, replays},
    effects::{Effects, Fate},
    world::{Buyer, Planted, World},
};

/// Who comes when the lease has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The buyer repeats the call.
    SameKey,
    /// Nobody calls; messages and the sweep go on.
    Messages,
    Both,
    /// The buyer tries again from the beginning, with a card that works.
    OtherKey,
}

const ALL: [After; 4] = [After::SameKey, After::Messages, After::Both, After::OtherKey];

/// One purchase about to be paid for, disturbed once. Reusable by every kind of disturbance.
pub(super) struct Stage {
    pub(super) world: Arc<World>,
    pub(super) buyer: Buyer,
    pub(super) scenario: Scenario,
    /// A process to which nothing happens.
    pub(super) calm: Shop,
    /// What the first key was answered for good.
    answered: Mutex<Option<Rendered>>,
}

impl Stage {
    pub(super) async fn new(scenario: Scenario, planted: Planted) -> Stage {
        let world = World::new(planted, 5, scenario.price).await;
        let calm = world.process(&Effects::all_well());
        let buyer = world.buyer(&calm, scenario.units).await;
        Stage { world, buyer, scenario, calm, answered: Mutex::default() }
    }

    /// How the buyer pays the first time.
    pub(super) fn how(&self) -> (&'static str, Option<bool>) {
        (self.scenario.method, self.scenario.bank)
    }

    /// The first call to its end, or to its death. Answers the log of its effects.
    pub(super) async fn first(&self, effects: &Arc<Effects>) -> Result<(), String> {
        let shop = self.world.process(effects);
        let done = tokio::select! {
            biased;
            done = self.insist(&shop) => done,
            () = effects.hit() => Ok(()),
        };
        done
    }

    /// The first key, until it has its final answer; which never changes again.
    pub(super) async fn insist(&self, shop: &Shop) -> Result<(), String> {
        let answer = buy(&self.world, shop, &self.buyer, "first", self.how()).await?;
        let mut answered = self.answered.lock().unwrap();
        match answered.as_ref() {
            Some(before) if (before.status, &before.body) != (answer.status, &answer.body) => {
                Err(format!("a repeat of first got {answer:?} instead of {before:?}"))
            }
            _ => {
                *answered = Some(answer);
                Ok(())
            }
        }
    }

    async fn begun(&self) -> bool {
        let checkout = read_checkout(self.world.documents.as_ref(), self.buyer.checkout).await.unwrap().unwrap();
        checkout.value.checkout.attempts > 0
    }

    /// The lease lapses and someone comes, perhaps to be disturbed as well.
    pub(super) async fn after(&self, after: After, effects: Option<&Arc<Effects>>) -> Result<(), String> {
        let Stage { world, buyer, calm, .. } = self;
        world.clock.advance(11);
        let disturbed = effects.map(|it| world.process(it));
        let shop = disturbed.as_ref().unwrap_or(calm);
        match after {
            After::SameKey => self.insist(shop).await,
            After::OtherKey => {
                let answer = buy(world, shop, buyer, "other", ("approve", None)).await?;
                replays(calm, buyer, ("other", "approve"), &answer).await
            }
            After::Messages => {
                only_messages(world, shop, self.scenario.bank).await?;
                // A letter that went out before it was written down may go out again, under its name.
                let disturbed = effects.and_then(|it| it.disturbed()).unwrap_or_default();
                if disturbed.contains("mail ") || disturbed.contains("inbox:") {
                    world.letters_max.store(2, Ordering::SeqCst);
                }
                check(world, std::slice::from_ref(buyer)).await.map(drop)
            }
            After::Both => {
                let other = world.process(&Effects::all_well());
                let (one, two) = tokio::join!(self.insist(shop), only_messages(world, &other, self.scenario.bank));
                one.and(two)
            }
        }
    }

    /// Everything has come to rest, and is as it must be; twice, for the buyer may ask once more.
    pub(super) async fn end(&self, after: After, seed: u64) -> Result<(), String> {
        let Stage { world, buyer, scenario, calm, .. } = self;
        settle(world, calm, seed).await?;
        let placed = check(world, std::slice::from_ref(buyer)).await?[0];
        // With another key the last card works; with no attempt on record there is nothing to finish.
        let enough = scenario.units.iter().all(|units| *units <= 5);
        let right = match after {
            After::OtherKey => enough,
            _ => scenario.placed && self.begun().await,
        };
        if placed != right {
            return Err(format!("an order: {placed}"));
        }
        self.insist(calm).await?;
        let answer = self.answered.lock().unwrap().clone().unwrap();
        replays(calm, buyer, ("first", scenario.method), &answer).await?;
        settle(world, calm, seed).await?;
        check(world, std::slice::from_ref(buyer)).await.map(drop)
    }
}

/// The effects of the scenario when nothing happens to it.
pub(super) async fn effects_of(scenario: Scenario) -> Vec<String> {
    let stage = Stage::new(scenario, Planted::Nothing).await;
    let effects = Effects::all_well();
    stage.first(&effects).await.unwrap();
    stage.end(After::SameKey, 0).await.unwrap();
    assert!(effects.count() >= 8, "{}: {:?}", scenario.name, effects.log());
    effects.log()
}

async fn crash(scenario: Scenario, at: u32, fate: Fate, after: After) -> Result<(), String> {
    let stage = Stage::new(scenario, Planted::Nothing).await;
    let effects = Effects::with(at, fate);
    stage.first(&effects).await?;
    let done = async {
        stage.after(after, None).await?;
        stage.end(after, u64::from(at)).await
    };
    done.await.map_err(|err| format!("{err}\n    {:?}", effects.disturbed()))
}

#[tokio::test]
async fn a_run_that_dies_at_any_effect_leaves_one_order_or_none() {
    let mut cases = Cases::new();
    for scenario in SCENARIOS {
        for (at, _) in (0..).zip(effects_of(scenario).await) {
            for fate in [Fate::CrashBefore, Fate::CrashAfter] {
                for after in ALL {
                    let name = format!("{}, {fate:?} {at}, then {after:?}", scenario.name);
                    cases.add(&name, crash(scenario, at, fate, after).await);
                }
            }
        }
    }
    cases.end(900);
}

/// The one who comes afterwards is disturbed as well, at each of its effects.
#[tokio::test]
async fn whoever_finishes_what_a_crash_left_may_be_disturbed_too() {
    let mut cases = Cases::new();
    for (name, first) in [("approve", 0), ("approve", 7), ("approve", 11), ("decline", 8), ("challenge, approved", 9)] {
        let scenario = scenario(name);
        for fate in [Fate::Conflict, Fate::LostBefore, Fate::LostAfter] {
            for at in 0.. {
                let stage = Stage::new(scenario, Planted::Nothing).await;
                stage.first(&Effects::with(first, Fate::CrashAfter)).await.unwrap();
                let effects = Effects::with(at, fate);
                let done = async {
                    stage.after(After::Messages, Some(&effects)).await?;
                    stage.end(After::Messages, u64::from(at)).await
                };
                let name = format!("{name}, crash after {first}, then messages with {fate:?} at {at}");
                let done = done.await.map_err(|err| format!("{err}\n    {:?}", effects.disturbed()));
                cases.add(&name, done);
                if effects.count() <= at {
                    break;
                }
            }
        }
    }
    cases.end(100);
}
