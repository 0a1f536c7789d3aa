//! One use case per file: load, decide in the domain, store through ports. The only layer that orders I/O.
pub mod apply_stock_update;
pub mod cards;
pub mod carts;
pub mod checkouts;
pub mod clicks;
pub mod complete_checkout;
pub mod customer_limits;
pub mod destinations;
pub mod find_order;
mod gates;
pub mod get_product;
pub mod import_catalogue;
pub mod kept_answers;
pub mod list_products;
pub mod merge_cart;
pub mod offers;
pub mod order_works;
pub mod orders;
pub mod outbox;
pub mod payment_events;
pub mod product_view;
pub mod promotions;
pub mod publications;
pub mod rate_limits;
pub mod readiness;
pub mod recommendations;
pub mod rejected_updates;
pub mod send_email;
pub mod settings;
mod shared_answers;
pub mod stock;
pub mod sync_inventory;
pub mod taxes;
pub mod verify;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use offpeak_domain::store::StoreSettings;
use sha2::{Digest, Sha256};

use bytes::{Bytes, BytesMut};

use crate::shared::{
    documents::settings::read_settings,
    ports::{
        Ports,
        documents::StoreError,
        objects::{Entry, ObjectError, ObjectName, PAGE_MAX},
    },
};
use cards::Cards;
use offers::Catalogue;
use outbox::Publisher;
use promotions::book::Book;
use recommendations::Recommender;
use taxes::TaxDesk;

/// How old the settings may be that a price is shown with; a completion reads the latest.
const SETTINGS_LIVE: Duration = Duration::from_secs(10);

/// What an operation works with: the ports, and what this process remembers to be quick. Nothing in it
/// is needed to be right.
pub struct Shop {
    pub ports: Ports,
    pub catalogue: Catalogue,
    pub cards: Cards,
    pub publisher: Publisher,
    pub promotions: Book,
    pub taxes: TaxDesk,
    pub recommender: Recommender,
    settings: Option<Cache<(), Arc<StoreSettings>>>,
}

impl Shop {
    pub fn new(ports: Ports) -> Shop {
        let settings = Cache::builder().max_capacity(1).time_to_live(SETTINGS_LIVE).build();
        let catalogue = Catalogue::new(ports.clone());
        let (publisher, promotions) = (Publisher::default(), Book::default());
        let cards = Cards::new(ports.clone(), catalogue.clone(), cards::FRESH);
        let (taxes, recommender) = (TaxDesk::new(ports.taxes.clone()), Recommender::without_models());
        Shop { ports, catalogue, cards, publisher, promotions, taxes, recommender, settings: Some(settings) }
    }

    /// With nothing remembered from call to call: what happens follows from the store alone, and from no clock
    /// but the port's.
    pub fn without_memory(ports: Ports) -> Shop {
        let catalogue = Catalogue::keeping(ports.clone(), Duration::ZERO);
        let (publisher, promotions) = (Publisher::default(), Book::keeping(Duration::ZERO));
        let cards = Cards::new(ports.clone(), catalogue.clone(), Duration::ZERO);
        let (taxes, recommender) = (TaxDesk::new(ports.taxes.clone()), Recommender::without_models());
        Shop { ports, catalogue, cards, publisher, promotions, taxes, recommender, settings: None }
    }

    /// The store's settings, at most [`SETTINGS_LIVE`] old.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub async fn settings(&self) -> Result<Arc<StoreSettings>, SettingsError> {
        if let Some(kept) = &self.settings
            && let Some(settings) = kept.get(&()).await
        {
            return Ok(settings);
        }
        self.settings_latest().await
    }

    /// The store's settings as stored now.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub async fn settings_latest(&self) -> Result<Arc<StoreSettings>, SettingsError> {
        let seen = read_settings(self.ports.documents.as_ref()).await?.ok_or(SettingsError::NotSetUp)?;
        let settings = Arc::new(seen.value);
        if let Some(kept) = &self.settings {
            kept.insert((), settings.clone()).await;
        }
        Ok(settings)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No catalogue was loaded yet: the store has no currency.
    #[error("the store is not set up")]
    NotSetUp,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// SHA-256 in lower-case hexadecimal. Tokens and keys are stored as this, never as themselves.
pub fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// An object with all its bytes.
///
/// # Errors
/// As the port's; `Missing` if there is none.
async fn read_whole(ports: &Ports, name: &ObjectName) -> Result<Bytes, ObjectError> {
    let mut object = ports.objects.read(name, None).await?;
    let mut bytes = BytesMut::with_capacity(usize::try_from(object.bytes).unwrap_or_default());
    while let Some(chunk) = object.body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// All that lies in a folder, in the order of the names.
///
/// # Errors
/// As the port's.
async fn list_all(ports: &Ports, folder: &ObjectName) -> Result<Vec<Entry>, ObjectError> {
    let (mut entries, mut page) = (Vec::new(), None);
    loop {
        let listing = ports.objects.list(folder, page.as_deref(), PAGE_MAX).await?;
        entries.extend(listing.entries);
        page = listing.next;
        if page.is_none() {
            return Ok(entries);
        }
    }
}
