//! The store's settings are read and changed by staff. What a shopper was shown may be ten seconds older; what is
//! charged never is, because a completion reads them anew.
use offpeak_domain::{money::Currency, store::StoreSettings};

use super::{SettingsError, Shop};
use crate::shared::{
    documents::{
        Seen, catalogue_mark,
        settings::{STORE, put_settings, read_settings},
    },
    ports::documents::{Container, ETag, StoreError},
};

/// What a change starts from.
#[derive(Clone, Debug)]
pub struct Before {
    pub settings: StoreSettings,
    /// `None` if nothing was stored yet.
    pub etag: Option<ETag>,
    /// Whether goods are priced in the store's currency already, so that it can change no more.
    pub has_catalogue: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeSettingsError {
    #[error("the settings have changed")]
    Changed,
    /// The first settings of a store must say it.
    #[error("the currency is missing")]
    NoCurrency,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// # Errors
/// As the store's.
pub async fn read(shop: &Shop) -> Result<Option<Seen<StoreSettings>>, StoreError> {
    read_settings(shop.ports.documents.as_ref()).await
}

/// The present settings; without any, those of a plain store in this currency.
///
/// # Errors
/// [`ChangeSettingsError`].
pub async fn before_change(shop: &Shop, currency: Option<Currency>) -> Result<Before, ChangeSettingsError> {
    let documents = shop.ports.documents.as_ref();
    let has_catalogue = catalogue_mark::is_set(documents).await?;
    Ok(match read_settings(documents).await? {
        Some(Seen { value, etag }) => Before { settings: value, etag: Some(etag), has_catalogue },
        None => {
            let currency = currency.ok_or(ChangeSettingsError::NoCurrency)?;
            Before { settings: StoreSettings::plain(currency), etag: None, has_catalogue }
        }
    })
}

/// Stores what came of `before`, if that is still what is stored and what the caller has seen (`expected`, an etag
/// or `*`).
///
/// # Errors
/// [`ChangeSettingsError`].
pub async fn write(
    shop: &Shop,
    before: &Before,
    expected: &str,
    after: StoreSettings,
    by: &str,
) -> Result<Seen<StoreSettings>, ChangeSettingsError> {
    if expected != "*" && before.etag.as_ref().is_none_or(|it| it.0 != expected) {
        return Err(ChangeSettingsError::Changed);
    }
    let write = put_settings(&after, before.etag.as_ref())?;
    let etags = match shop.ports.documents.write(Container::Stores, STORE, vec![write]).await {
        Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => return Err(ChangeSettingsError::Changed),
        done => done?,
    };
    tracing::info!(by, "The store's settings were changed.");
    let etag = etags.into_iter().next().unwrap_or(ETag(String::new()));
    if let Some(kept) = &shop.settings {
        kept.insert((), std::sync::Arc::new(after.clone())).await;
    }
    Ok(Seen { value: after, etag })
}

impl From<SettingsError> for ChangeSettingsError {
    fn from(err: SettingsError) -> ChangeSettingsError {
        match err {
            SettingsError::Store(err) => ChangeSettingsError::Store(err),
            SettingsError::NotSetUp => ChangeSettingsError::NoCurrency,
        }
    }
}
