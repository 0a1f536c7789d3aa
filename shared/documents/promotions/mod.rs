//! Container `promotions`, partition `main`: `promotion:<id>`, `price-list:<id>` (see `price_lists`), and
//! `mark`, which every change of either replaces in the same batch, so that one read tells whether anything
//! is new.
mod form;

pub use form::{
    ClassForm, EffectForm, FormFault, GROUP_MAX, GoodsForm, MoneyForm, PromotionForm, RuleForm, TITLE_MAX, TriggerForm,
    UsesForm,
};
pub(super) use form::{group, title};

use offpeak_domain::promotion::PromotionId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{Seen, Stored, parse, put, settings::STORE};
use crate::shared::ports::documents::{
    Container, Documents, ETag, Filter, PAGE_MAX, Query, Scope, StoreError, Test, Write,
};

const MARK: &str = "mark";
const KIND: &str = "promotion";

/// What staff wrote, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Written<F> {
    r#type: String,
    pub id: String,
    pub form: F,
    /// The person's subject.
    pub by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Stored for Written<PromotionForm> {
    const SCHEMA: &'static str = "promotion/1";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MarkDocument {
    changes: u64,
}

impl Stored for MarkDocument {
    const SCHEMA: &'static str = "promotions_mark/1";
}

/// The state of all promotions and price lists together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    changes: u64,
    /// `None` before the first promotion or price list.
    pub version: Option<ETag>,
}

/// # Errors
/// As the port's.
pub async fn read_mark(documents: &dyn Documents) -> Result<Mark, StoreError> {
    let Some(document) = documents.read(Container::Promotions, STORE, MARK).await? else {
        return Ok(Mark::default());
    };
    let Seen { value, etag } = parse::<MarkDocument>(document)?;
    Ok(Mark { changes: value.changes, version: Some(etag) })
}

/// # Errors
/// As the port's.
pub async fn read_promotion(
    documents: &dyn Documents,
    id: &PromotionId,
) -> Result<Option<Seen<Written<PromotionForm>>>, StoreError> {
    read(documents, KIND, id.as_str()).await
}

/// One page of promotions by id, with where the next begins.
///
/// # Errors
/// As the port's; `Refused` for a cursor of another query.
pub async fn list_promotions(
    documents: &dyn Documents,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Seen<Written<PromotionForm>>>, Option<String>), StoreError> {
    list(documents, KIND, limit, after).await
}

/// Stores a promotion; answers its new version.
///
/// # Errors
/// As the port's: `Changed` or `Exists` if it, or the mark, is not what was seen.
pub async fn write_promotion(
    documents: &dyn Documents,
    id: &PromotionId,
    form: PromotionForm,
    seen: Option<&ETag>,
    mark: &Mark,
    (by, at): (&str, OffsetDateTime),
) -> Result<ETag, StoreError> {
    let written = written(KIND, id.as_str(), form, by, at);
    write(documents, KIND, &written, seen, mark).await
}

pub(super) fn written<F>(kind: &str, id: &str, form: F, by: &str, at: OffsetDateTime) -> Written<F> {
    Written { r#type: kind.to_owned(), id: id.to_owned(), form, by: by.to_owned(), at }
}

pub(super) async fn read<F: DeserializeOwned + Serialize>(
    documents: &dyn Documents,
    kind: &str,
    id: &str,
) -> Result<Option<Seen<Written<F>>>, StoreError>
where
    Written<F>: Stored,
{
    documents.read(Container::Promotions, STORE, &format!("{kind}:{id}")).await?.map(parse).transpose()
}

pub(super) async fn list<F: DeserializeOwned + Serialize>(
    documents: &dyn Documents,
    kind: &str,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Seen<Written<F>>>, Option<String>), StoreError>
where
    Written<F>: Stored,
{
    let filter = Filter { path: "type", test: Test::Equal(kind.into()) };
    let query = Query { filters: vec![filter], order: None, limit: limit.clamp(1, PAGE_MAX), after };
    let page = documents.query(Container::Promotions, Scope::Partition(STORE), &query).await?;
    let items = page.items.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok((items, page.next))
}

pub(super) async fn write<F: DeserializeOwned + Serialize>(
    documents: &dyn Documents,
    kind: &str,
    written: &Written<F>,
    seen: Option<&ETag>,
    mark: &Mark,
) -> Result<ETag, StoreError>
where
    Written<F>: Stored,
{
    let writes: Vec<Write> = vec![
        put(format!("{kind}:{}", written.id), written, seen, None)?,
        put(MARK, &MarkDocument { changes: mark.changes + 1 }, mark.version.as_ref(), None)?,
    ];
    let etags = documents.write(Container::Promotions, STORE, writes).await?;
    etags.into_iter().next().ok_or_else(|| StoreError::Refused("the store answered no etag".to_owned()))
}
