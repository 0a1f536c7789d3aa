//! What shoppers did on some days, kept as the hub's batches are.
use std::sync::atomic::{AtomicI64, Ordering};

use offpeak::shared::{
    documents::clicks::event::text,
    operations::clicks::{
        ClickEvent, Clicks, What,
        batches::{Place, keep},
    },
};
use offpeak_domain::recommend::Kind;

use super::Goods;

const DAY: i64 = 86_400;
/// Sessions of one batch.
const BATCH: usize = 100;

/// What one session did.
pub(super) type Walk<'w> = (&'w [&'w str], Kind);

fn what(item: &str, kind: Kind) -> What {
    let sku = item.to_owned();
    match kind {
        Kind::View => What::View { sku },
        Kind::Cart => What::AddToCart { sku },
        Kind::Purchase => What::Ordered { sku },
    }
}

/// Sessions that began one after the other, so many days ago, from one o'clock on.
pub(super) async fn shopped(goods: &Goods, days_ago: i64, walks: &[Walk<'_>]) {
    kept(goods, midnight(goods) - days_ago * DAY + 3_600, walks, BATCH).await;
}

/// The same, from now on.
pub(super) async fn shopped_now(goods: &Goods, walks: &[Walk<'_>]) {
    kept(goods, goods.ports.clock.now().unix_timestamp(), walks, BATCH).await;
}

/// The same, each in a batch of its own.
pub(super) async fn shopped_apart(goods: &Goods, days_ago: i64, walks: &[Walk<'_>]) {
    kept(goods, midnight(goods) - days_ago * DAY + 3_600, walks, 1).await;
}

fn midnight(goods: &Goods) -> i64 {
    goods.ports.clock.now().unix_timestamp() / DAY * DAY
}

async fn kept(goods: &Goods, start: i64, walks: &[Walk<'_>], batch: usize) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    for (number, walks) in walks.chunks(batch).enumerate() {
        let (mut lines, mut newest) = (Vec::new(), 0);
        for (at, (items, kind)) in walks.iter().enumerate() {
            let begun = start + i64::try_from(number * batch + at).unwrap() * 20;
            let session = u64::try_from(NEXT.fetch_add(1, Ordering::SeqCst)).unwrap();
            let at = |step: usize| u32::try_from(begun).unwrap() + u32::try_from(step).unwrap() * 5;
            let events = items.iter().enumerate();
            let events = events.map(|(step, item)| ClickEvent { at: at(step), what: what(item, *kind) }).collect();
            newest = at(items.len());
            lines.push(text(Clicks { session, consent: true, events }).unwrap());
        }
        let first = NEXT.fetch_add(1_000, Ordering::SeqCst);
        let place = Place { partition: "0", first, last: first + 999, as_of: newest };
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        keep(&goods.ports, &place, &lines).await.unwrap();
    }
}
