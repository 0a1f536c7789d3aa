//! How much of one SKU a customer may buy within some days: over several purchases, at once or one after another,
//! under any spelling of their address and with their account, with what they cancel given back.
use bytes::Bytes;
use futures_util::future::join_all;
use offpeak::shared::{
    documents::{Seen, promo_use, promo_use::PoolKey, purchases::Order},
    operations::{
        kept_answers::Rendered,
        merge_cart::Customer,
        orders::{Asked, Caller, CancelOrder, cancel_order},
        settings,
        verify::{Ask, Invariant, Limits, Verified, verify},
    },
};
use offpeak_domain::{
    allowance::CustomerLimit,
    order::LineAsk,
    store::{QuantityLimits, SkuLimit},
};

use super::till::{Basket, Till, body, email, till};

const DAY: i64 = 86_400;

/// So many units of `A` for one customer in 30 days.
pub(super) async fn limit(till: &Till, units: u32) {
    let before = settings::before_change(&till.shop, None).await.unwrap();
    let mut after = before.settings.clone();
    let per_customer = Some(CustomerLimit { units, days: 30 });
    let sku = SkuLimit { sku: till.sku('A'), min: 1, max: 100, per_customer };
    after.limits = QuantityLimits { skus: vec![sku], ..QuantityLimits::default() };
    settings::write(&till.shop, &before, "*", after, "staff").await.unwrap();
}

/// Units of limited SKUs that count against whoever has this address.
pub(super) async fn counted(till: &Till, address: &str) -> u32 {
    let pool = PoolKey::customer(&email(address).customer_key());
    let (bought, _) = promo_use::read_bought(till.world.documents.as_ref(), &pool).await.unwrap();
    bought.iter().map(|it| it.units).sum()
}

async fn at_checkout(till: &Till, units: u32, address: &str) -> Basket {
    let basket = till.cart(&[('A', units), ('B', 1)]).await;
    till.start(&basket, &email(address)).await;
    basket
}

/// The problems of the checkout as the buyer sees it: code, what is left.
async fn shown(till: &Till, basket: &Basket, address: &str) -> Vec<(&'static str, u32)> {
    let seen = till.start(basket, &email(address)).await;
    let view = seen.problems.iter().map(offpeak::shared::views::cart::problem_view);
    view.map(|it| (it.code, it.available.unwrap_or_default())).collect()
}

fn render(_: &Seen<Order>, _: Option<&str>) -> Rendered {
    Rendered { status: 200, body: Bytes::new() }
}

async fn cancel(till: &Till, basket: &Basket, units: Option<u32>, key: &str) {
    let lines = units.map(|units| vec![LineAsk { line: 0, units }]);
    let caller = Caller::Staff { subject: "ada".to_owned() };
    let (order, request) = (basket.id.checkout().order(), format!("{units:?}"));
    let asked = Asked { order, caller, idempotency_key: Some(key.to_owned()), if_match: None, request };
    let command = CancelOrder { asked, lines, reason: None, keep_money: false };
    Box::pin(cancel_order(&till.shop, &command, render)).await.unwrap();
    till.rest().await;
}

/// The shop's own check finds nothing, once everything is quiet.
async fn verified(till: &Till) {
    till.world.clock.advance(300);
    let Verified::Done(report) = Box::pin(verify(&till.shop, Ask::ALL, Limits::AT_ONCE)).await.unwrap() else {
        panic!("a few purchases are checked at once")
    };
    assert!(report.is_ok() && report.tally(Invariant::I5).checked > 0, "{report:#?}");
}

#[tokio::test]
async fn two_purchases_at_once_have_what_one_customer_may_buy() {
    let till = till(100, "10.00").await;
    limit(&till, 3).await;
    let mut baskets = Vec::new();
    for spelling in ["ada@example.org", "ADA+two@example.org"] {
        let basket = at_checkout(&till, 2, spelling).await;
        assert_eq!(shown(&till, &basket, spelling).await, []);
        baskets.push(basket);
    }
    let race = baskets.iter().map(|basket| till.buy(&till.shop, basket, "k", "approve"));
    let answers = join_all(race).await;
    let refused: Vec<_> = answers.iter().filter(|it| it.status != 200).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].status, 422);
    let problem = &body(refused[0])["problems"][0];
    assert_eq!((&problem["code"], &problem["available"]), (&"above_customer_maximum".into(), &1.into()));
    assert_eq!((&problem["maximum"], &problem["days"], &problem["blocking"]), (&3.into(), &30.into(), &true.into()));
    till.rest().await;
    assert_eq!(counted(&till, "ada@example.org").await, 2);
    // What is shown is what refuses; one fewer is sold.
    let other = baskets.iter().zip(&answers).find(|(_, it)| it.status != 200).unwrap().0;
    assert_eq!(shown(&till, other, "ada@example.org").await, [("above_customer_maximum", 1)]);
    assert_eq!(till.buy(&till.shop, other, "k2", "approve").await.status, 422);
    till.set(other, 'A', 1).await;
    assert_eq!(till.buy(&till.shop, other, "k3", "approve").await.status, 200);
    till.rest().await;
    assert_eq!(counted(&till, "ada@example.org").await, 3);
    verified(&till).await;
}

#[tokio::test]
async fn an_account_has_one_limit_under_any_address_until_its_days_are_over() {
    let till = till(100, "10.00").await;
    limit(&till, 2).await;
    let ada = Customer { subject: "ada".to_owned(), groups: Vec::new() };
    let first = till.sign_in(&till.cart(&[('A', 2)]).await, &ada).await;
    till.start(&first, &email("ada@example.org")).await;
    assert_eq!(till.buy(&till.shop, &first, "k", "approve").await.status, 200);
    till.rest().await;
    // The account's next cart says so before an address is known.
    let second = till.sign_in(&till.cart(&[('A', 1)]).await, &ada).await;
    let problems = till.show(&second).await.problems;
    assert_eq!(problems.iter().map(|it| it.code()).collect::<Vec<_>>(), ["above_customer_maximum"]);
    assert_eq!(shown(&till, &second, "new@example.org").await, [("above_customer_maximum", 0)]);
    assert_eq!(till.buy(&till.shop, &second, "k", "approve").await.status, 422);
    // So does the address alone; a stranger buys.
    let guest = at_checkout(&till, 1, "ada+x@example.org").await;
    assert_eq!(till.buy(&till.shop, &guest, "k", "approve").await.status, 422);
    let bob = at_checkout(&till, 2, "bob@example.org").await;
    assert_eq!(till.buy(&till.shop, &bob, "k", "approve").await.status, 200);
    till.rest().await;
    verified(&till).await;
    till.world.clock.advance(30 * DAY);
    let later = at_checkout(&till, 2, "ada@example.org").await;
    assert_eq!(till.buy(&till.shop, &later, "k", "approve").await.status, 200);
    till.rest().await;
    assert_eq!(counted(&till, "ada@example.org").await, 2, "what lapsed is forgotten");
    verified(&till).await;
}

#[tokio::test]
async fn what_is_cancelled_or_undone_can_be_bought_again() {
    let till = till(100, "10.00").await;
    limit(&till, 3).await;
    let declined = at_checkout(&till, 3, "ada@example.org").await;
    assert_eq!(till.buy(&till.shop, &declined, "k", "decline").await.status, 402);
    till.rest().await;
    assert_eq!(counted(&till, "ada@example.org").await, 0);
    let first = at_checkout(&till, 3, "ada@example.org").await;
    assert_eq!(till.buy(&till.shop, &first, "k", "approve").await.status, 200);
    till.rest().await;
    cancel(&till, &first, Some(2), "part").await;
    assert_eq!(counted(&till, "ada@example.org").await, 1);
    verified(&till).await;
    let second = at_checkout(&till, 2, "ada@example.org").await;
    assert_eq!(till.buy(&till.shop, &second, "k", "approve").await.status, 200);
    till.rest().await;
    cancel(&till, &first, None, "rest").await;
    assert_eq!(counted(&till, "ada@example.org").await, 2);
    verified(&till).await;
}
