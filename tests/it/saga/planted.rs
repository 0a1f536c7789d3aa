//! Faults put in on purpose: what checks the world must notice each of them.
use super::{
    acts::scenario,
    crashes::{After, Stage},
    effects::{Effects, Fate},
    races::overtaken,
    world::Planted,
};

/// One purchase that dies after effect `at`, finished by its buyer, in a world with a fault.
async fn purchase(name: &str, at: u32, planted: Planted) -> Result<(), String> {
    let stage = Stage::new(scenario(name), planted).await;
    stage.first(&Effects::with(at, Fate::CrashAfter)).await?;
    stage.after(After::SameKey, None).await?;
    stage.end(After::SameKey, 1).await
}

async fn is_noticed(name: &str, planted: Planted, told: &str) {
    let mut noticed = Vec::new();
    for at in 0..24 {
        assert_eq!(purchase(name, at, Planted::Nothing).await, Ok(()));
        noticed.extend(purchase(name, at, planted).await.err());
    }
    assert!(noticed.iter().any(|it| it.contains(told)), "{planted:?} was not noticed: {noticed:?}");
}

#[tokio::test]
async fn money_taken_twice_is_noticed() {
    is_noticed("approve", Planted::CapturesAgain, "captures").await;
}

#[tokio::test]
async fn a_hold_that_is_kept_is_noticed() {
    is_noticed("decline", Planted::KeepsHolds, "under live holds").await;
}

#[tokio::test]
async fn a_lost_event_is_noticed() {
    is_noticed("approve", Planted::LosesEvents, "reached the broker").await;
}

#[tokio::test]
async fn a_second_letter_is_noticed() {
    is_noticed("approve", Planted::WritesTwice, "letters").await;
}

#[tokio::test]
async fn another_answer_to_a_repeat_is_noticed() {
    is_noticed("approve", Planted::GarblesAnswers, "a repeat of first").await;
}

#[tokio::test]
async fn a_run_that_ignores_versions_is_noticed() {
    let mut noticed = Vec::new();
    for at in 1..18 {
        let stage = Stage::new(scenario("decline"), Planted::IgnoresVersions).await;
        noticed.extend(overtaken(&stage, (at, Fate::FreezeBefore), After::OtherKey).await.err());
    }
    assert!(noticed.iter().any(|it| it.contains("the sleeper changed")), "{noticed:?}");
}
