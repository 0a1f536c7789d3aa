//! Loads a price list into the catalogue, row by row, and says what became of each.
//!
//! Safe to repeat and to kill at any moment: every product is stored as names, stock, old cards, product,
//! new cards, each step conditional and without effect when done already, so running the same file again
//! completes what is missing and changes nothing else. Import opens stock; it never corrects it: units are
//! set only for a SKU that was never counted, or never at the location that is named, because by the second
//! run some may have been sold.
mod csv_rows;
mod ndjson_rows;
mod plan;
mod report;
pub mod rows;
mod store;

use std::{io::BufRead, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use offpeak_domain::{money::Currency, stock::Location, store::StoreSettings};

pub use report::{ImportReport, Outcome};

use self::{
    plan::{Plan, Planned},
    rows::{FileError, Format, Rows},
};
use super::stock::StockError;
use crate::shared::{
    documents::{catalogue_mark, settings},
    ports::{
        Ports,
        documents::{Container, StoreError},
    },
};

/// Products stored at once: enough to fill a group commit, few enough to leave shoppers their share.
const CONCURRENCY: usize = 64;

/// Tries of one product against other writers and against a store that does not answer in its time, and the
/// pause between them.
const RACES_MAX: u32 = 5;
const OUTAGES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(5);

/// How to load a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What prices are in; must be the store's. A store without settings takes it as its own.
    pub currency: Option<Currency>,
    /// Units for a SKU that was never counted and whose row does not say.
    pub on_hand: Option<i64>,
    /// Where units lie whose row does not say; `None` is `main`. One of the store's locations.
    pub location: Option<Location>,
    /// Read and compare, store nothing.
    pub dry_run: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the store has no currency yet: say which one the prices are in")]
    NoCurrency,
    #[error("the store sells in {store}, so prices in {asked} cannot be loaded")]
    OtherCurrency { store: Currency, asked: Currency },
    #[error("the store has no location {0}: add it to its settings or correct the name")]
    NoLocation(Location),
    /// What was loaded stays; running the import again completes it.
    #[error("the import stopped; run it again to complete it")]
    Store(#[from] StoreError),
    /// As `Store`.
    #[error("the import stopped; run it again to complete it")]
    Stock(#[from] StockError),
}

/// Loads every row of the file that can be loaded.
///
/// # Errors
/// [`ImportError`]; a bad row is no error but part of the report.
pub async fn import_catalogue<R: BufRead>(
    ports: &Ports,
    file: R,
    format: Format,
    options: &ImportOptions,
) -> Result<ImportReport, ImportError> {
    let store = store(ports, options).await?;
    let mut plan = Plan::new(Rows::open(file, format)?, &store, options)?;
    let mut report = ImportReport::new(options.dry_run);
    let mut running = FuturesUnordered::new();
    let mut more = true;
    loop {
        while more && running.len() < CONCURRENCY {
            match plan.next_planned()? {
                Some(Planned::Product(group)) => running.push(store::store_product(ports, group, options.dry_run)),
                Some(Planned::Refused(row)) => report.refuse(row),
                None => more = false,
            }
        }
        match running.next().await {
            Some(done) => report.add(done?),
            None if more => {}
            None => break,
        }
    }
    report.finish(plan.read, plan.ignored());
    if report.loaded() > 0 && !options.dry_run {
        catalogue_mark::set(ports.documents.as_ref(), report.loaded(), ports.clock.now()).await?;
    }
    Ok(report)
}

/// Gives a store that has none these settings; one that has some keeps them.
///
/// # Errors
/// As the store's.
pub async fn open_store(ports: &Ports, wanted: &StoreSettings) -> Result<StoreSettings, StoreError> {
    let documents = ports.documents.as_ref();
    if let Some(seen) = settings::read_settings(documents).await? {
        return Ok(seen.value);
    }
    let write = settings::put_settings(wanted, None)?;
    match documents.write(Container::Stores, settings::STORE, vec![write]).await {
        Ok(_) => Ok(wanted.clone()),
        // Someone else opened it at the same time.
        Err(StoreError::Exists { id }) => {
            settings::read_settings(documents).await?.map(|seen| seen.value).ok_or(StoreError::Changed { id })
        }
        Err(err) => Err(err),
    }
}

/// The settings of the store, which is opened if it is not yet there.
async fn store(ports: &Ports, options: &ImportOptions) -> Result<StoreSettings, ImportError> {
    let have = settings::read_settings(ports.documents.as_ref()).await?.map(|seen| seen.value);
    let store = match (have, options.currency) {
        (Some(store), _) => store,
        (None, None) => return Err(ImportError::NoCurrency),
        (None, Some(asked)) if options.dry_run => StoreSettings::plain(asked),
        (None, Some(asked)) => open_store(ports, &StoreSettings::plain(asked)).await?,
    };
    match options.currency {
        Some(asked) if asked != store.currency => Err(ImportError::OtherCurrency { store: store.currency, asked }),
        _ => Ok(store),
    }
}
