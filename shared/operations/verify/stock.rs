//! One SKU: its levels against its movements and holds (I1), and what it has promised against the orders.
use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use offpeak_domain::{
    ids::OrderId,
    order::Lifecycle,
    sku::Sku,
    stock::{Change, Entry, Hold, Kind, Location, Part, check_i1},
};
use time::OffsetDateTime;

use super::{Invariant, Judged, QUIET, VerifyError, Violation, purchases::promised};
use crate::shared::{
    documents::{
        purchases,
        stock::{self, read_levels},
    },
    operations::Shop,
    ports::documents::{Documents, StoreError},
};

/// How often a SKU that changes while it is read is read again.
const READS_MAX: u32 = 3;

/// Orders with open units of one SKU that are compared with it one by one.
const ORDERS_MAX: usize = 100_000;
/// Of these, read side by side.
const ORDERS_AT_ONCE: usize = 16;

/// A page of SKUs.
pub(super) async fn page(shop: &Shop, after: Option<String>) -> Result<(Vec<Sku>, Option<String>), VerifyError> {
    Ok(stock::counted_skus(shop.ports.documents.as_ref(), after).await?)
}

pub(super) async fn judge(shop: &Shop, sku: Sku) -> Result<Judged, VerifyError> {
    let documents = shop.ports.documents.as_ref();
    for _ in 0..READS_MAX {
        let Some(before) = read_levels(documents, &sku).await? else { return Ok(Judged::Skipped) };
        let books = Books::read(shop, &sku).await?;
        // All that the partition holds changes with the levels: the same version, the same moment.
        if read_levels(documents, &sku).await?.is_none_or(|it| it.etag != before.etag) {
            continue;
        }
        let now = shop.ports.clock.now();
        let (holds, entries) = books.condensed();
        let faults = check_i1(&before.value, &holds, &entries, now);
        let mut wrong: Vec<_> =
            faults.into_iter().map(|it| Violation::new(Invariant::I1, sku.to_string(), it.to_string())).collect();
        wrong.extend(books.against_orders(shop, &sku, now).await?);
        return Ok(Judged::of(vec![Invariant::I1], wrong));
    }
    Ok(Judged::Busy)
}

type Sums = BTreeMap<Location, (i64, i64)>;

/// The partition of one SKU in sums: what has come to nothing takes no room.
#[derive(Default)]
struct Books {
    /// The opening count: what leaves less than is promised later on is told apart from it.
    first: Option<Entry>,
    /// By kind, and whether what is on hand grew.
    moved: BTreeMap<(&'static str, bool), (Kind, Sums)>,
    /// By minute and state.
    held: BTreeMap<(i64, String), (Hold, BTreeMap<Location, i64>)>,
    /// What is promised to each order, where anything is.
    promised: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Books {
    async fn read(shop: &Shop, sku: &Sku) -> Result<Books, StoreError> {
        let documents = shop.ports.documents.as_ref();
        let mut books = Books::default();
        let mut after = None;
        loop {
            let (entries, next) = stock::movements_page(documents, sku, after).await?;
            entries.into_iter().for_each(|it| books.add(it));
            after = next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let (holds, next) = stock::holds_page(documents, sku, after).await?;
            holds.into_iter().for_each(|it| books.hold(it));
            after = next;
            if after.is_none() {
                return Ok(books);
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        for Change { location, allocated, .. } in entry.changes.iter().filter(|it| it.allocated != 0) {
            let places = self.promised.entry(entry.cause.clone()).or_default();
            *places.entry(location.to_string()).or_default() += allocated;
            places.retain(|_, units| *units != 0);
            if places.is_empty() {
                self.promised.remove(&entry.cause);
            }
        }
        let entry = match &mut self.first {
            Some(first) if first.seq <= entry.seq => entry,
            Some(first) => std::mem::replace(first, entry),
            None => {
                self.first = Some(entry);
                return;
            }
        };
        for Change { location, on_hand, allocated } in entry.changes {
            let (_, sums) =
                self.moved.entry((entry.kind.name(), on_hand > 0)).or_insert_with(|| (entry.kind, Sums::new()));
            let sum = sums.entry(location).or_default();
            *sum = (sum.0 + on_hand, sum.1 + allocated);
        }
    }

    fn hold(&mut self, hold: Hold) {
        let (_, sums) = self
            .held
            .entry((hold.minute, format!("{:?}", hold.state)))
            .or_insert_with(|| (Hold { parts: Vec::new(), ..hold.clone() }, BTreeMap::new()));
        for part in hold.parts {
            *sums.entry(part.location).or_default() += part.units;
        }
    }

    /// As few holds and movements as have the same sums.
    fn condensed(&self) -> (Vec<Hold>, Vec<Entry>) {
        let hold = |(like, sums): &(Hold, BTreeMap<Location, i64>)| {
            let parts = sums.iter().map(|(location, units)| Part { location: location.clone(), units: *units });
            Hold { parts: parts.collect(), ..like.clone() }
        };
        let entry = |(kind, sums): &(Kind, Sums)| {
            let change = |(location, (on_hand, allocated)): (&Location, &(i64, i64))| Change {
                location: location.clone(),
                on_hand: *on_hand,
                allocated: *allocated,
            };
            let changes = sums.iter().map(change).collect();
            Entry { seq: 0, kind: *kind, cause: String::new(), at: OffsetDateTime::UNIX_EPOCH, changes }
        };
        let entries = self.first.iter().cloned().chain(self.moved.values().map(entry)).collect();
        (self.held.values().map(hold).collect(), entries)
    }

    /// What is promised to whom is what their orders say.
    async fn against_orders(&self, shop: &Shop, sku: &Sku, now: OffsetDateTime) -> Result<Vec<Violation>, StoreError> {
        if self.promised.len() > ORDERS_MAX {
            tracing::warn!(stock.sku = %sku, "More than {ORDERS_MAX} orders wait for {sku}: they are not compared.");
            return Ok(Vec::new());
        }
        let documents = shop.ports.documents.as_ref();
        let looks: Vec<_> =
            self.promised.iter().map(|(cause, places)| against_order(documents, sku, cause, places, now)).collect();
        let wrong: Vec<_> = stream::iter(looks).buffered(ORDERS_AT_ONCE).try_collect().await?;
        let violation = |detail| Violation::new(Invariant::I1, sku.to_string(), detail);
        Ok(wrong.into_iter().flatten().map(violation).collect())
    }
}

/// What is wrong with what is promised to one order.
async fn against_order(
    documents: &dyn Documents,
    sku: &Sku,
    cause: &str,
    places: &BTreeMap<String, i64>,
    now: OffsetDateTime,
) -> Result<Option<String>, StoreError> {
    let Ok(id) = OrderId::parse(cause) else {
        return Ok(Some(format!("{places:?} is promised to {cause}, which is no order")));
    };
    let rows = purchases::read_rows(documents, id.checkout()).await?;
    let Some(order) = purchases::read_order(documents, id.checkout()).await?.map(|it| it.value) else {
        return Ok(Some(format!("{places:?} is promised to {id}, which is not there")));
    };
    // An order that is being finished, or owes something, is not at rest.
    if now - rows.changed_at < QUIET || !order.works.is_empty() || order.lifecycle == Lifecycle::Pending {
        return Ok(None);
    }
    let right: BTreeMap<_, _> = promised(&order, sku).into_iter().collect();
    Ok((*places != right).then(|| format!("{places:?} is promised to {id}, which needs {right:?}")))
}
