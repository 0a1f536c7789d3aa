//! What the buyer of an order hears by mail: once for each change that matters to them, whatever the broker repeats.
use std::collections::BTreeSet;

use bytes::Bytes;
use offpeak::shared::{
    documents::{Seen, purchases::Order},
    operations::{
        kept_answers::Rendered,
        orders::{Asked, Caller, CancelOrder, FulfilOrder, cancel_order, fulfil_order},
    },
};
use offpeak_domain::order::{Fulfil, LineAsk, Parcel};

use super::{
    acts::{buy, settle},
    effects::Effects,
    world::{Planted, World},
};

fn render(_: &Seen<Order>, _: Option<&str>) -> Rendered {
    Rendered { status: 200, body: Bytes::new() }
}

#[tokio::test]
async fn goods_that_leave_or_are_cancelled_and_money_that_goes_back_are_told_once() {
    let world = World::new(Planted::Nothing, 9, "5.00").await;
    let shop = world.process(&Effects::all_well());
    let buyer = world.buyer(&shop, [2, 1]).await;
    buy(&world, &shop, &buyer, "buy", ("approve", None)).await.unwrap();
    let order = buyer.checkout.order();
    let asked = |key: &str| Asked {
        order,
        caller: Caller::Staff { subject: "ada".to_owned() },
        idempotency_key: Some(key.to_owned()),
        if_match: None,
        request: key.to_owned(),
    };
    let parcel = Parcel {
        carrier: "Swift & <Sons>".to_owned(),
        tracking_number: Some("SW1".to_owned()),
        tracking_url: Some("https://track.example/?n=SW1".to_owned()),
    };
    let lines = Some(vec![LineAsk { line: 1, units: 1 }]);
    let fulfil = Fulfil { lines, parcels: vec![parcel], shipped: true, ..Fulfil::default() };
    Box::pin(fulfil_order(&shop, &FulfilOrder { asked: asked("send"), fulfil }, render)).await.unwrap();
    let rest = CancelOrder { asked: asked("rest"), lines: None, reason: Some("Lost it".to_owned()), keep_money: false };
    Box::pin(cancel_order(&shop, &rest, render)).await.unwrap();
    settle(&world, &shop, 1).await.unwrap();

    let letters = world.letters.lock().unwrap().clone();
    let names: BTreeSet<_> = letters.iter().map(|it| it.event_id.clone()).collect();
    let told = [
        format!("order-cancelled-mail-{order}-3"),
        format!("order-confirmation-{order}"),
        format!("order-refunded-mail-{order}-4"),
        format!("order-shipped-mail-{order}-2"),
    ];
    assert_eq!((names.into_iter().collect::<Vec<_>>(), letters.len()), (told.to_vec(), 4));
    let letter = |place: usize| letters.iter().find(|it| it.event_id == told[place]).unwrap();
    let shipped = letter(3);
    assert!(shipped.text.contains("1 x Bell") && !shipped.text.contains("Kite"), "{}", shipped.text);
    assert!(shipped.text.contains("Swift & <Sons>, tracking number SW1\nhttps://track.example/?n=SW1\n"));
    assert!(shipped.html.contains("Swift &amp; &lt;Sons&gt;") && !shipped.html.contains("<Sons>"), "{}", shipped.html);
    assert!(letter(2).text.contains("10.00 GBP") && letter(2).html.contains("10.00 GBP"), "{}", letter(2).text);
    let cancelled = letter(0);
    assert!(cancelled.text.contains("a part of order") && cancelled.text.contains("1 x Kite"), "{}", cancelled.text);
    assert!(cancelled.text.contains("10.00 GBP will be sent back") && !cancelled.text.contains("Lost it"));
}
