//! P2, the slow payer: the hold ends while the bank's page is open, another buyer takes the goods, and then the
//! payment is approved. What becomes of it is the store's to say; it is said once, and never silently.
use std::sync::Arc;

use offpeak::shared::{
    documents::{purchases::read_order, settings},
    ports::documents::{Container, Documents as _},
};
use offpeak_domain::{
    checkout::ACTION_FOR,
    order::{Lifecycle, PaymentStatus},
    stock::Shortfall,
};

use super::{
    acts::{call, settle},
    effects::Effects,
    world::{Buyer, Planted, World},
};

/// How far two instances' clocks may differ, and a second.
const SKEW_S: i64 = 3;

struct Slow {
    world: Arc<World>,
    slow: Buyer,
}

/// Five units are on the shelf. One buyer of five goes to the bank and is approved there, but nobody looks until
/// the hold is over and `others` have bought.
async fn slow_payer(policy: Shortfall, others: u32) -> Slow {
    let world = World::new(Planted::Nothing, 5, "5.00").await;
    let shop = world.process(&Effects::all_well());
    let documents = world.documents.as_ref();
    let mut seen = settings::read_settings(documents).await.unwrap().unwrap();
    seen.value.stock.shortfall = policy;
    let write = settings::put_settings(&seen.value, Some(&seen.etag)).unwrap();
    documents.write(Container::Stores, settings::STORE, vec![write]).await.unwrap();

    // A process that has not cached what the settings were.
    drop(shop);
    let shop = world.process(&Effects::all_well());
    let slow = world.buyer(&shop, [5, 0]).await;
    let answer = call(&shop, &slow, "slow", "challenge").await.unwrap();
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    world.provider.answer_challenges(true);
    world.clock.advance(ACTION_FOR.whole_seconds() + SKEW_S + 60);
    if others > 0 {
        let quick = world.buyer(&shop, [others, 0]).await;
        assert_eq!(call(&shop, &quick, "quick", "approve").await.unwrap().status, 200);
    }
    settle(&world, &shop, 1).await.unwrap();
    Slow { world, slow }
}

impl Slow {
    async fn ends(&self, lifecycle: Lifecycle, status: PaymentStatus) {
        let order = read_order(self.world.documents.as_ref(), self.slow.checkout).await.unwrap().unwrap().value;
        assert_eq!((order.lifecycle, order.payment_status), (lifecycle, status), "{order:?}");
    }

    /// Distinct events of this kind about the slow buyer's order.
    fn events(&self, subject: &str) -> usize {
        let order = self.slow.checkout.order().to_string();
        let sent = self.world.sent.lock().unwrap();
        let mut ids: Vec<_> = sent
            .iter()
            .filter(|it| it.subject == subject && it.body.contains(&order))
            .map(|it| it.id.clone())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    fn letters(&self, about: &str) -> usize {
        let number = self.slow.checkout.order().number();
        let letters = self.world.letters.lock().unwrap();
        letters.iter().filter(|it| it.subject.contains(&number) && it.subject.contains(about)).count()
    }
}

#[tokio::test]
async fn p2_what_was_sold_during_a_payment_is_not_charged() {
    let case = slow_payer(Shortfall::Refund, 5).await;
    case.ends(Lifecycle::Failed, PaymentStatus::None).await;
    let name =
        offpeak::shared::ports::payments::PaymentName { reference: case.slow.checkout.attempt(1), provider_id: None };
    let payment = case.world.provider.find(&name).unwrap();
    assert!(payment.captured.is_zero() && payment.voided == payment.authorised, "{payment:?}");
    assert_eq!((case.events("order.placed"), case.events("order.shortfall")), (0, 1));
    assert_eq!((case.letters(""), case.letters("could not be kept")), (1, 1));
}

#[tokio::test]
async fn p2_what_was_sold_during_a_payment_may_be_promised_all_the_same() {
    let case = slow_payer(Shortfall::Backorder, 5).await;
    case.ends(Lifecycle::Placed, PaymentStatus::Captured).await;
    assert_eq!((case.events("order.placed"), case.events("order.shortfall")), (1, 1));
    assert_eq!((case.letters(""), case.letters("could not be kept")), (1, 0));
}

#[tokio::test]
async fn p2_what_was_sold_during_a_payment_may_wait_for_a_person() {
    let case = slow_payer(Shortfall::Hold, 5).await;
    case.ends(Lifecycle::Placed, PaymentStatus::Captured).await;
    let order = read_order(case.world.documents.as_ref(), case.slow.checkout).await.unwrap().unwrap().value;
    assert_eq!(order.on_hold.as_deref(), Some("shortfall"));
    assert_eq!((case.events("order.placed"), case.events("order.shortfall")), (1, 1));
}

/// Nobody took the goods: the lapsed hold is claimed all the same.
#[tokio::test]
async fn p2_a_slow_payer_whose_goods_are_still_there_gets_them() {
    let case = slow_payer(Shortfall::Refund, 0).await;
    case.ends(Lifecycle::Placed, PaymentStatus::Captured).await;
    assert_eq!((case.events("order.placed"), case.events("order.shortfall")), (1, 0));
}
