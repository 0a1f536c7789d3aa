//! What other systems say, one message at a time: twice, late, in any order, and wrong.
use offpeak::shared::operations::{
    Shop,
    apply_stock_update::{ApplyError, apply_stock_update},
    stock,
};
use offpeak_domain::{
    sku::Sku,
    stock::{
        Kind,
        sources::{Applied, Says, SourceName, SourceRefusal, Update},
    },
};
use time::{Duration, OffsetDateTime};

use super::shelf::{place, shop};

fn says(version: i64, says: Says, quantity: i64) -> Update {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::hours(version);
    Update { source: SourceName::parse("wms").unwrap(), version, says, quantity, at }
}

async fn on_hand(shop: &Shop, sku: &Sku) -> i64 {
    stock::level(&shop.ports, sku).await.unwrap().unwrap().value.on_hand()
}

async fn apply(shop: &Shop, sku: &Sku, update: &Update) -> Result<Applied, ApplyError> {
    apply_stock_update(shop, sku, &place("main"), update).await
}

/// Every order of five updates, each sent twice in it.
#[tokio::test]
async fn p14_updates_that_come_twice_and_in_any_order_leave_one_level() {
    use Says::{Absolute, Relative};
    let updates = [
        says(1, Relative, 4),
        says(2, Absolute, 50),
        says(3, Relative, -8),
        says(4, Absolute, 40),
        says(5, Relative, -3),
    ];
    let sku = Sku::parse("JUG").unwrap();
    for seed in 0..120_usize {
        // The seed's digits in the factorial system choose an order.
        let (mut left, mut order, mut rest) = (Vec::from_iter(0..5), Vec::new(), seed);
        for size in (1..=5).rev() {
            order.push(left.remove(rest % size));
            rest /= size;
        }
        let shop = shop("sku,title,price\nJUG,Jug,1.00\n").await;
        for at in order.iter().chain(order.iter().rev()) {
            apply(&shop, &sku, &updates[*at]).await.unwrap();
        }
        assert_eq!(on_hand(&shop, &sku).await, 37, "{order:?}");
        let books = offpeak::shared::documents::stock::read_books(shop.ports.documents.as_ref(), &sku).await.unwrap();
        let faults = offpeak_domain::stock::check_i1(&books.levels, &[], &books.entries, shop.ports.clock.now());
        assert_eq!(faults, []);
        assert!(books.entries.iter().skip(1).all(|it| it.kind == Kind::Update && it.cause.starts_with("wms:")));
    }
}

#[tokio::test]
async fn updates_that_cannot_be_applied_say_why_and_change_nothing() {
    let shop = shop("sku,title,price\nJUG,Jug,1.00\n").await;
    let sku = Sku::parse("JUG").unwrap();
    let refused = async |sku: &str, update: &Update| {
        apply(&shop, &Sku::parse(sku).unwrap(), update).await.unwrap_err().to_string()
    };
    assert!(refused("NOBODY", &says(1, Says::Absolute, 5)).await.contains("SKU NOBODY is in no product"));
    assert_eq!(refused("JUG", &says(0, Says::Relative, 5)).await, SourceRefusal::Version.to_string());
    assert_eq!(refused("JUG", &says(1, Says::Absolute, -5)).await, SourceRefusal::Quantity.to_string());
    let elsewhere = apply_stock_update(&shop, &sku, &place("moon"), &says(1, Says::Absolute, 5)).await.unwrap_err();
    assert!(elsewhere.to_string().contains("no location moon"), "{elsewhere}");
    assert_eq!(on_hand(&shop, &sku).await, 7);
    assert_eq!(apply(&shop, &sku, &says(1, Says::Relative, -9)).await.unwrap(), Applied::OnHand(-2));
    assert_eq!(stock::available(&shop.ports, &[sku]).await.unwrap(), [0]);
}
