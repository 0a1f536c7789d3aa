//! What shoppers made of what they were shown is counted for each surface, once, when its day is over.
use offpeak::shared::{
    documents::clicks::event::text,
    operations::{
        clicks::{ClickEvent, Clicks, What, ingest::Arrived, ingest::ingest},
        recommendations::refresh::{last_outcomes, refresh},
    },
};
use serde_json::json;

use super::Goods;

const DAY: i64 = 86_400;

fn sku(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn what_was_shown_clicked_and_bought_is_counted_once_for_each_surface() {
    let goods = Goods::new().await;
    let at = u32::try_from(goods.ports.clock.now().unix_timestamp()).unwrap();
    let shown = |surface: &str, skus: &[&str]| What::RecommendationShown {
        surface: surface.to_owned(),
        skus: skus.iter().map(|it| sku(it)).collect(),
    };
    let clicked = |surface: &str, it: &str| What::RecommendationClicked { surface: surface.to_owned(), sku: sku(it) };
    let did = |session, events: Vec<What>| {
        let events = (at..).zip(events).map(|(at, what)| ClickEvent { at, what }).collect();
        text(Clicks { session, consent: true, events }).unwrap().into_bytes()
    };
    let ann = did(1, vec![shown("next", &["TENT", "MAT"]), clicked("next", "MAT"), What::Purchase { sku: sku("MAT") }]);
    let bob = did(2, vec![shown("cart", &["TONER"]), clicked("cart", "TONER"), What::Purchase { sku: sku("TENT") }]);
    let hub = [(0, &ann), (1, &bob)];
    let batch = |numbers: std::ops::Range<usize>| {
        hub[numbers].iter().map(|(number, body)| Arrived { number: *number, body }).collect::<Vec<_>>()
    };
    // The second time the hub cuts it differently.
    ingest(&goods.ports, "0", &batch(0..2)).await.unwrap();
    ingest(&goods.ports, "0", &batch(1..2)).await.unwrap();

    let shop = goods.shop(goods.ports.clone());
    refresh(&shop).await.unwrap();
    assert!(last_outcomes(&shop).await.unwrap().is_empty(), "the day is not over");
    goods.clock.advance(2 * DAY);
    for _ in 0..2 {
        refresh(&shop).await.unwrap();
        let told = serde_json::to_value(last_outcomes(&shop).await.unwrap()).unwrap();
        let expected = json!({
            "cart": { "shown": 1, "clicked": 1, "bought": 0 },
            "next": { "shown": 2, "clicked": 1, "bought": 1 },
        });
        assert_eq!(told, json!([{ "day": "2027-01-15", "surfaces": expected }]));
    }
}
