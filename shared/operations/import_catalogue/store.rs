//! Stores one product of a file. The order of writes is what makes a crash harmless: names are claimed
//! before the product that bears them, stock is there before anyone can ask for it, cards come last and
//! are compared on every run.
use offpeak_domain::{
    catalogue::{Incoming, Product, ProductError, id::ProductId, slug::Slug},
    sku::Sku,
    stock::{Count, Location},
};

use super::{
    ImportError, OUTAGES_MAX, PAUSE, RACES_MAX,
    plan::{Group, GroupRow},
    report::Outcome,
    rows::{RefusedRow, RowRefusal},
};
use crate::shared::{
    documents::{
        listings,
        lookups::{self, Name},
        products::{self, StoredProduct},
    },
    operations::stock::{self, Expected, StockError},
    ports::{
        Ports,
        documents::{Documents, StoreError},
    },
};

/// What stands behind stock that an import opened.
const CAUSE: &str = "import";

/// One outcome per row. Starts again from what is stored when another writer was faster, and when the store
/// was too slow: under load a single late answer must not end a long import.
pub(super) async fn store_product(ports: &Ports, group: Group, dry_run: bool) -> Result<Vec<Outcome>, ImportError> {
    let mut attempt = 1;
    loop {
        let done = if dry_run { compare(ports, &group).await } else { store_once(ports, &group).await };
        let attempts_max = match &done {
            Err(ImportError::Store(err) | ImportError::Stock(StockError::Store(err))) => match err {
                StoreError::Exists { .. } | StoreError::Changed { .. } => RACES_MAX,
                StoreError::Unavailable(_) => OUTAGES_MAX,
                StoreError::Refused(_) | StoreError::Unreadable { .. } => 0,
            },
            _ => 0,
        };
        if attempt >= attempts_max {
            return done;
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

/// The rows of a group that may be stored, and the outcomes of those that may not.
struct Checked {
    incoming: Incoming,
    kept: Vec<GroupRow>,
    outcomes: Vec<Outcome>,
}

async fn store_once(ports: &Ports, group: &Group) -> Result<Vec<Outcome>, ImportError> {
    let documents = ports.documents.as_ref();
    let id = group.incoming.id();
    let have = products::load_latest(documents, id).await?;
    let mut owners = Vec::with_capacity(group.rows.len());
    for row in &group.rows {
        owners.push(if sells(have.as_ref(), &row.sku) {
            id
        } else {
            lookups::claim(documents, &Name::sku(&row.sku), id).await?
        });
    }
    let checked = check(group, &owners);
    if checked.kept.is_empty() {
        return Ok(checked.outcomes);
    }
    let next = match &have {
        Some(have) => checked.incoming.clone().update(&have.product),
        None => checked.incoming.clone().introduce(claim_slug(documents, group, id).await?),
    };
    let next = match next {
        Ok(next) => next,
        Err(err) => return Ok(refuse_all(checked, &err)),
    };
    let opened = open_stock(ports, &checked.kept).await?;
    let withdrawn = match &have {
        Some(have) => listings::withdraw(documents, &have.product, Some(&next)).await?,
        None => false,
    };
    match &have {
        Some(have) if have.product == next => {}
        Some(have) => products::replace(documents, have, &next, ports.clock.now()).await?,
        None => products::create(documents, &next, ports.clock.now()).await?,
    }
    let reshown = listings::show(documents, &next).await? || withdrawn;
    Ok(outcomes(checked, have.as_ref(), &next, reshown, &opened))
}

/// What [`store_once`] would do, by reading only.
async fn compare(ports: &Ports, group: &Group) -> Result<Vec<Outcome>, ImportError> {
    let documents = ports.documents.as_ref();
    let id = group.incoming.id();
    let have = products::load_latest(documents, id).await?;
    let mut owners = Vec::with_capacity(group.rows.len());
    for row in &group.rows {
        owners.push(if sells(have.as_ref(), &row.sku) {
            id
        } else {
            lookups::find(documents, &Name::sku(&row.sku)).await?.unwrap_or(id)
        });
    }
    let checked = check(group, &owners);
    if checked.kept.is_empty() {
        return Ok(checked.outcomes);
    }
    let next = match (&have, group.slugs.first()) {
        (Some(have), _) => checked.incoming.clone().update(&have.product),
        (None, Some(slug)) => checked.incoming.clone().introduce(slug.clone()),
        (None, None) => unreachable!("a group has a slug"),
    };
    let next = match next {
        Ok(next) => next,
        Err(err) => return Ok(refuse_all(checked, &err)),
    };
    let mut opened = Vec::with_capacity(checked.kept.len());
    for row in &checked.kept {
        let level = stock::level(ports, &row.sku).await?;
        let is_counted = match &row.location {
            Some(location) => level.is_some_and(|it| it.value.by_location.contains_key(location)),
            None => level.is_some(),
        };
        opened.push(row.on_hand.is_some() && !is_counted);
    }
    Ok(outcomes(checked, have.as_ref(), &next, false, &opened))
}

fn sells(have: Option<&StoredProduct>, sku: &Sku) -> bool {
    have.is_some_and(|it| it.product.variant(sku).is_some())
}

/// Takes out the rows whose SKU is another product's.
fn check(group: &Group, owners: &[ProductId]) -> Checked {
    let id = group.incoming.id();
    let mut incoming = group.incoming.clone();
    incoming.variants.clear();
    let mut checked = Checked { incoming, kept: Vec::new(), outcomes: Vec::new() };
    for ((row, variant), owner) in group.rows.iter().zip(&group.incoming.variants).zip(owners) {
        if *owner == id {
            checked.kept.push(row.clone());
            checked.incoming.variants.push(variant.clone());
        } else {
            checked.outcomes.push(refused(row, RowRefusal::SkuTaken(owner.to_string())));
        }
    }
    checked
}

fn refuse_all(checked: Checked, err: &ProductError) -> Vec<Outcome> {
    let rows = checked.kept.iter().map(|row| refused(row, RowRefusal::Together(err.clone())));
    checked.outcomes.into_iter().chain(rows).collect()
}

fn refused(row: &GroupRow, reason: RowRefusal) -> Outcome {
    Outcome::Refused(RefusedRow { line: row.line, sku: Some(row.sku.to_string()), reason })
}

/// The best slug that is free or ours already.
async fn claim_slug(documents: &dyn Documents, group: &Group, id: ProductId) -> Result<Slug, StoreError> {
    for slug in &group.slugs {
        if lookups::claim(documents, &Name::slug(slug), id).await? == id {
            return Ok(slug.clone());
        }
    }
    // The last candidate holds the product's id, so only damaged data brings us here.
    Err(StoreError::Refused(format!("product {id} finds no free slug")))
}

/// Whether each row's stock was opened now.
async fn open_stock(ports: &Ports, rows: &[GroupRow]) -> Result<Vec<bool>, ImportError> {
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(on_hand) = row.on_hand else {
            opened.push(false);
            continue;
        };
        // Where no place is named, a SKU that is counted anywhere is left alone.
        let (location, expected) = match row.location.clone() {
            Some(location) => (location, Expected::AbsentThere),
            None => (Location::main(), Expected::Absent),
        };
        let count = Count { on_hand: Some(on_hand), ..Count::default() };
        match stock::count(ports, &row.sku, &location, count, expected, CAUSE).await {
            Ok(_) => opened.push(true),
            Err(StockError::Changed) => opened.push(false),
            Err(err) => return Err(err.into()),
        }
    }
    Ok(opened)
}

/// `reshown`: a card had to be written, so even an equal product was not there in full.
fn outcomes(
    checked: Checked,
    have: Option<&StoredProduct>,
    next: &Product,
    reshown: bool,
    opened: &[bool],
) -> Vec<Outcome> {
    let Checked { kept, mut outcomes, .. } = checked;
    for (row, opened) in kept.iter().zip(opened) {
        let before = have.and_then(|it| it.product.variant(&row.sku).map(|variant| (it, variant)));
        outcomes.push(match before {
            None => Outcome::Created,
            Some((have, variant)) => {
                let same = next.variant(&row.sku) == Some(variant) && same_but_variants(&have.product, next);
                if same && !reshown && !opened { Outcome::Unchanged } else { Outcome::Updated }
            }
        });
    }
    outcomes
}

fn same_but_variants(one: &Product, other: &Product) -> bool {
    let (one, other) = (one.facts(), other.facts());
    (&one.title, &one.description, &one.category, &one.tax_class, one.status)
        == (&other.title, &other.description, &other.category, &other.tax_class, other.status)
}
