//! Cards as they grow old, in virtual time.
use std::time::Duration;

use offpeak::shared::operations::{
    Shop,
    recommendations::{Recommend, RecommendError, recommend},
};
use serde_json::Value;
use tokio::time::{advance, sleep};

use super::Goods;

/// What the mattress costs on the card of a list.
async fn price(shop: &Shop) -> Result<Value, RecommendError> {
    let text = |it: &str| Some(it.to_owned());
    let ask = Recommend { surface: text("resume"), seen: text("MAT,TENT"), ..Recommend::default() };
    let list: Value = serde_json::from_slice(&recommend(shop, &ask).await?).unwrap();
    Ok(list["items"][0]["product"]["variants"][0]["price"]["amount"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_card_is_shown_on_while_it_is_read_anew_but_not_for_long() {
    let goods = Goods::new().await;
    let shop = Shop::new(goods.ports.clone());
    assert_eq!(price(&shop).await.unwrap(), "4000");
    goods.stand.load("sku,product,title,price,category,onHand\nMAT,mat,Mattress,45.00,Camping,9\n").await;
    advance(Duration::from_secs(20)).await;
    let reads = goods.stand.store.reads();
    assert_eq!(price(&shop).await.unwrap(), "4000");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(goods.stand.store.reads(), reads, "it is good still");

    advance(Duration::from_secs(11)).await;
    assert_eq!(price(&shop).await.unwrap(), "4000", "nobody waits");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(price(&shop).await.unwrap(), "4500", "it was read behind the request");

    goods.stand.store.lose();
    advance(Duration::from_secs(31)).await;
    assert_eq!(price(&shop).await.unwrap(), "4500", "the store is away");
    advance(Duration::from_secs(30)).await;
    assert!(matches!(price(&shop).await, Err(RecommendError::Store(_))), "it is too old");
}
