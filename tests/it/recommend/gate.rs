//! Whether a new model takes the place of the one that answers, where models are made every hour.
use offpeak::shared::{
    documents::recommendations::{Refresh, RefreshOutcome},
    operations::{
        publications::current,
        recommendations::{MODEL, refresh::refresh},
    },
    ports::objects::ObjectName,
};
use offpeak_domain::recommend::Kind;

use super::{
    Goods,
    shoppers::{Walk, shopped, shopped_now},
};

const CHAIN: Walk<'_> = (&["TENT", "MAT", "STOVE", "PRINTER", "TONER"], Kind::View);
const NOISE: Walk<'_> = (&["TONER", "TENT"], Kind::View);
const HOUR: i64 = 3_600;
/// So many sessions in each of 24 hours are enough to judge by, and in one are not.
const SHOPPERS: usize = 24;

/// An hour of shoppers, and the tick after it.
async fn an_hour(goods: &Goods) -> Refresh {
    shopped_now(goods, &[CHAIN; SHOPPERS]).await;
    goods.clock.advance(HOUR);
    let mut shop = goods.shop(goods.ports.clone());
    shop.recommender.days = 5;
    refresh(&shop).await.unwrap().expect("no other run is under way")
}

/// Loses what is kept of clicks before this moment.
async fn lose(goods: &Goods, before: &str) {
    for folder in ["clicks/days", "clicks/hours", "clicks/batches"] {
        let folder = ObjectName::parse(folder).unwrap();
        let end = folder.child(before).unwrap();
        for entry in goods.ports.objects.list(&folder, None, 1_000).await.unwrap().entries {
            if entry.name < end {
                goods.ports.objects.delete(&entry.name).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_model_made_every_hour_is_judged_by_the_newest_day_and_held_back_if_it_is_worse() {
    let goods = Goods::new().await;
    shopped(&goods, 1, &[CHAIN; 30]).await;
    for hour in 0..28 {
        let made = an_hour(&goods).await;
        assert_eq!(made.outcome, Some(RefreshOutcome::Published), "{hour}");
        if hour >= 26 {
            let judged = made.judged.unwrap();
            assert!(judged.events >= 2_000 && judged.live_mrr.unwrap() > 0.9, "{hour}: {judged:?}");
            assert!(judged.new_mrr.unwrap() > 0.9, "{hour}: {judged:?}");
        }
    }
    // It is noon of the sixteenth. What is older than a day is lost but for noise, and shoppers go on as before.
    let model = ObjectName::parse(MODEL).unwrap();
    let live = current(&goods.ports, &model).await.unwrap();
    lose(&goods, "2027-01-15/14").await;
    shopped(&goods, 2, &[NOISE; 50]).await;
    for hour in 0..2 {
        let held = an_hour(&goods).await;
        let judged = held.judged.unwrap();
        assert_eq!(held.outcome, Some(RefreshOutcome::HeldBack), "{hour}: {judged:?}");
        assert!(judged.live_mrr.unwrap() > 0.9 && judged.new_mrr.unwrap() < 0.5, "{hour}: {judged:?}");
    }
    assert_eq!(current(&goods.ports, &model).await.unwrap(), live);
}
