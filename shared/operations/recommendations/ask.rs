//! What recommendations are asked for, as text and as it is meant.
use offpeak_domain::{
    catalogue::slug::Slug,
    recommend::{Consent, SESSION_MAX, Surface},
    sku::Sku,
};

use crate::shared::{
    operations::{
        clicks::sessions::{ID_FORM, is_id},
        list_products::ListProductsError,
    },
    ports::documents::StoreError,
};

/// Products in a list unless the caller says otherwise, and at most.
const LIMIT_DEFAULT: usize = 12;
pub const LIMIT_MAX: usize = 50;
/// SKUs that a caller says were seen.
const SEEN_MAX: usize = 20;

/// What is asked for, as text. An empty value is as if it were not there.
#[derive(Clone, Debug, Default)]
pub struct Recommend {
    pub surface: Option<String>,
    pub session_id: Option<String>,
    pub sku: Option<String>,
    pub cart: Option<String>,
    pub seen: Option<String>,
    pub category: Option<String>,
    pub limit: Option<String>,
    pub consent: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecommendError {
    #[error("{name}: {reason}")]
    Parameter { name: &'static str, reason: String },
    #[error("there was nothing to show in time")]
    Late,
    #[error(transparent)]
    Listing(#[from] ListProductsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is meant.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) surface: Surface,
    pub(super) session: Option<String>,
    /// The item at hand.
    pub(super) sku: Option<String>,
    pub(super) cart: Vec<String>,
    /// Newest last.
    pub(super) seen: Vec<String>,
    pub(super) category: Option<String>,
    pub(super) limit: usize,
    pub(super) consent: Consent,
}

/// A question in which there is nobody's session: whoever puts it is answered the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Anyones {
    surface: Surface,
    /// The item at hand.
    item: Option<String>,
    category: Option<String>,
    limit: usize,
}

impl Asked {
    pub(super) fn parse(ask: &Recommend) -> Result<Asked, RecommendError> {
        let names = Surface::ALL.map(Surface::name).join(", ");
        let surface =
            given(&ask.surface).and_then(Surface::parse).ok_or_else(|| bad("surface", format!("one of {names}")))?;
        let session = given(&ask.session_id);
        if !session.is_none_or(is_id) {
            return Err(bad("sessionId", ID_FORM.to_owned()));
        }
        let category = given(&ask.category).map(|it| Slug::parse(it).map_err(|err| bad("category", err.to_string())));
        let consent = match given(&ask.consent) {
            None | Some("true") => Consent::Given,
            Some("false") => Consent::Withheld,
            Some(_) => return Err(bad("consent", "true or false".to_owned())),
        };
        let limit = given(&ask.limit).map_or(Ok(LIMIT_DEFAULT), str::parse);
        let limit = limit.ok().filter(|it| (1..=LIMIT_MAX).contains(it));
        Ok(Asked {
            surface,
            session: session.map(str::to_owned),
            sku: skus("sku", &ask.sku, 1)?.pop(),
            cart: skus("cart", &ask.cart, SESSION_MAX)?,
            seen: skus("seen", &ask.seen, SEEN_MAX)?,
            category: category.transpose()?.map(|it| it.to_string()),
            limit: limit.ok_or_else(|| bad("limit", format!("a whole number from 1 to {LIMIT_MAX}")))?,
            consent,
        })
    }

    /// The question without who asks it, if that is all there is to it.
    pub(super) fn anyones(&self) -> Option<Anyones> {
        let one = self.consent == Consent::Withheld || self.seen.iter().chain(&self.sku).count() < 2;
        let is_anyones = match self.surface {
            Surface::Similar | Surface::Trending => !self.needs_session(),
            Surface::Together => self.session.is_none(),
            Surface::Next => self.session.is_none() && one,
            Surface::Cart | Surface::Resume => false,
        };
        let item = self.sku.as_ref().or(self.seen.last()).cloned();
        // What is in somebody's cart is hidden from nobody else.
        let is_anyones = is_anyones && self.cart.is_empty();
        is_anyones.then(|| Anyones { surface: self.surface, item, category: self.category.clone(), limit: self.limit })
    }

    /// Whether what the session has seen decides anything.
    pub(super) fn needs_session(&self) -> bool {
        let decides = match self.surface {
            Surface::Next | Surface::Resume => true,
            // Only its newest item, if no other is at hand.
            Surface::Together | Surface::Similar => self.sku.is_none() && self.seen.is_empty(),
            Surface::Cart | Surface::Trending => false,
        };
        decides && self.consent == Consent::Given
    }
}

fn bad(name: &'static str, reason: String) -> RecommendError {
    RecommendError::Parameter { name, reason }
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|it| !it.is_empty())
}

fn skus(name: &'static str, value: &Option<String>, max: usize) -> Result<Vec<String>, RecommendError> {
    let Some(text) = given(value) else { return Ok(Vec::new()) };
    let skus: Result<Vec<Sku>, _> = text.split(',').take(max + 1).map(|it| Sku::parse(it.trim())).collect();
    let skus = skus.map_err(|err| bad(name, err.to_string()))?;
    if skus.len() > max {
        return Err(bad(name, format!("at most {max}, with commas between")));
    }
    Ok(skus.iter().map(ToString::to_string).collect())
}
