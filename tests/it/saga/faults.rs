//! A run goes on, but one of its effects is refused as too late, or gets no answer.
use super::{
    Cases,
    acts::{SCENARIOS, Scenario, buy, settle},
    check::check,
    crashes::{After, Stage, effects_of},
    effects::{Effects, Fate},
    world::{Planted, World},
};

async fn disturbed(scenario: Scenario, at: u32, fate: Fate) -> Result<(), String> {
    let stage = Stage::new(scenario, Planted::Nothing).await;
    let effects = Effects::with(at, fate);
    let done = async {
        stage.first(&effects).await?;
        stage.end(After::SameKey, u64::from(at)).await
    };
    done.await.map_err(|err| format!("{err}\n    {:?}", effects.disturbed()))
}

#[tokio::test]
async fn an_effect_that_is_refused_or_unanswered_changes_no_ending() {
    let mut cases = Cases::new();
    for scenario in SCENARIOS {
        for (at, _) in (0..).zip(effects_of(scenario).await) {
            for fate in [Fate::Conflict, Fate::LostBefore, Fate::LostAfter] {
                let name = format!("{}, {fate:?} at {at}", scenario.name);
                cases.add(&name, disturbed(scenario, at, fate).await);
            }
        }
    }
    cases.end(300);
}

/// Two buyers, one unit; one of them stops at each effect in turn and comes back when the other has ended.
#[tokio::test]
async fn the_last_unit_is_sold_once() {
    let mut cases = Cases::new();
    for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::LostAfter] {
        for at in 0..24 {
            let world = World::new(Planted::Nothing, 1, "5.00").await;
            let calm = world.process(&Effects::all_well());
            let buyers = [world.buyer(&calm, [1, 0]).await, world.buyer(&calm, [1, 0]).await];
            let done = async {
                let effects = Effects::with(at, fate);
                let (one, two) = (world.process(&effects), &calm);
                let how = ("approve", None);
                let first = async {
                    tokio::select! {
                        biased;
                        done = buy(&world, &one, &buyers[0], "one", how) => done.map(drop),
                        () = effects.hit() => Ok(()),
                    }
                };
                let (first, second) = tokio::join!(first, buy(&world, two, &buyers[1], "two", how));
                first.and(second.map(drop))?;
                world.clock.advance(11);
                buy(&world, &calm, &buyers[0], "one", how).await?;
                settle(&world, &calm, u64::from(at)).await?;
                let placed = check(&world, &buyers).await?;
                if placed[0] == placed[1] { Err(format!("who has an order: {placed:?}")) } else { Ok(()) }
            };
            cases.add(&format!("two buyers, one unit, {fate:?} at {at}"), done.await);
        }
    }
    cases.end(72);
}

/// A bank that is asked a thousand times does not make a later attempt look old.
#[tokio::test]
async fn a_buyer_who_asks_often_may_still_pay_otherwise() {
    let challenged = super::acts::scenario("challenge, approved");
    let stage = Stage::new(challenged, Planted::Nothing).await;
    for _ in 0..1_100 {
        let answer = super::acts::call(&stage.calm, &stage.buyer, "first", "challenge").await.unwrap();
        assert_eq!(answer.status, 202);
    }
    stage.after(After::OtherKey, None).await.unwrap();
    stage.end(After::OtherKey, 1).await.unwrap();
}
