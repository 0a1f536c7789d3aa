//! A limited promotion's uses: claimed at most as often as the limit says, given back once, whoever races.
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::join_all;
use offpeak::shared::{
    documents::promo_use::{self, Entry, PoolKey},
    operations::promotions::uses::{UseError, claim_use, release_use, used_by_others},
    ports::{Ports, documents::Container},
};
use offpeak_domain::{
    ids::{CartId, OrderId},
    uses::{UseClaim, UseLimits, UseRefusal, UseState},
};
use ulid::Ulid;

use crate::catalogue::stand::Stand;

fn order(n: u64) -> OrderId {
    CartId::new(Ulid::from_parts(1, u128::from(n))).checkout().order()
}

fn wanted(n: u64, customer: &str, fence: u32) -> UseClaim {
    UseClaim { order: order(n), customers: vec![customer.to_owned()], fence, state: UseState::Live }
}

/// Counter, sum over customers, live claims.
async fn counted(ports: &Ports, pool: &PoolKey) -> (u32, u32, u32) {
    let (mut counter, mut customers, mut claims, mut after) = (0, 0, 0, None);
    loop {
        let page = promo_use::pool(ports.documents.as_ref(), pool, after).await.unwrap();
        for (_, entry) in page.entries {
            match entry {
                Entry::Counter { live } => counter = live,
                Entry::Customer { live, .. } => customers += live,
                Entry::Bought(_) => {}
                Entry::Claim(claim) => claims += u32::from(claim.state == UseState::Live),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return (counter, customers, claims),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that waits for what it starts")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_against_a_thousand_at_once() {
    let ports = Stand::new().ports;
    let pool = PoolKey::promotion("hundred");
    let limits = UseLimits { total: Some(100), per_customer: None };
    let refused = Arc::new(AtomicU64::new(0));
    let race = (0..1_000_u64).map(|n| {
        let (ports, pool, refused) = (ports.clone(), pool.clone(), Arc::clone(&refused));
        tokio::spawn(async move {
            match claim_use(&ports, &pool, &wanted(n, &format!("c{n}"), 1), limits).await {
                // One in ten gives up afterwards, and says so twice.
                Ok(()) if n % 10 == 0 => {
                    release_use(&ports, &pool, order(n), 1).await.unwrap();
                    release_use(&ports, &pool, order(n), 1).await.unwrap();
                }
                Ok(()) => claim_use(&ports, &pool, &wanted(n, &format!("c{n}"), 1), limits).await.unwrap(),
                Err(UseError::Refused(UseRefusal::Exhausted)) => {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                Err(err) => panic!("{err:?}"),
            }
        })
    });
    for done in join_all(race).await {
        done.unwrap();
    }
    let (counter, customers, claims) = counted(&ports, &pool).await;
    assert_eq!((counter, customers), (claims, claims));
    // Those who were refused while others gave back may come again, and then every use is taken.
    for n in 1_000..1_200 {
        claim_use(&ports, &pool, &wanted(n, &format!("c{n}"), 1), limits).await.ok();
    }
    assert_eq!(counted(&ports, &pool).await, (100, 100, 100));
    assert!(refused.load(Ordering::SeqCst) >= 800);
    assert_eq!(used_by_others(&ports, &pool, Some(order(1_199))).await.unwrap(), 100);
}

#[tokio::test]
async fn a_customer_has_their_own_limit_and_gets_a_use_back_once() {
    let ports = Stand::new().ports;
    let pool = PoolKey::promotion("once-each");
    let limits = UseLimits { total: Some(10), per_customer: Some(1) };
    claim_use(&ports, &pool, &wanted(1, "ada", 1), limits).await.unwrap();
    let second = claim_use(&ports, &pool, &wanted(2, "ada", 1), limits).await;
    assert!(matches!(second, Err(UseError::Refused(UseRefusal::ExhaustedForCustomer))), "{second:?}");
    claim_use(&ports, &pool, &wanted(3, "bob", 1), limits).await.unwrap();
    for _ in 0..3 {
        release_use(&ports, &pool, order(1), u32::MAX).await.unwrap();
    }
    assert_eq!(counted(&ports, &pool).await, (1, 1, 1));
    claim_use(&ports, &pool, &wanted(2, "ada", 1), limits).await.unwrap();
    // An order that gave up for good never claims again.
    let late = claim_use(&ports, &pool, &wanted(1, "ada", 9), UseLimits::default()).await;
    assert!(matches!(late, Err(UseError::Refused(UseRefusal::Superseded))), "{late:?}");
}

#[tokio::test]
async fn what_is_released_before_it_is_claimed_stays_free() {
    let ports = Stand::new().ports;
    let pool = PoolKey::code("abc");
    release_use(&ports, &pool, order(1), 3).await.unwrap();
    assert_eq!(counted(&ports, &pool).await, (0, 0, 0));
    let late = claim_use(&ports, &pool, &wanted(1, "ada", 2), UseLimits::default()).await;
    assert!(matches!(late, Err(UseError::Refused(UseRefusal::Superseded))), "{late:?}");
    claim_use(&ports, &pool, &wanted(1, "ada", 4), UseLimits { total: Some(1), per_customer: None }).await.unwrap();
    assert_eq!(counted(&ports, &pool).await, (1, 1, 1));
    // Pools are found by their counters.
    let found = promo_use::counters(ports.documents.as_ref(), None).await.unwrap();
    assert_eq!(found.entries, [(pool.clone(), Entry::Counter { live: 1 })]);
    let raw = ports.documents.read(Container::PromoUse, pool.as_str(), "counter").await.unwrap().unwrap();
    assert_eq!(raw.body["schema"], "use_count/1");
}
