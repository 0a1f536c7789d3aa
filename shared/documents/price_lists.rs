//! Container `promotions`, document `price-list:<id>`: prices for some customers, some time or some quantity,
//! stored as staff wrote them. Every fault names the member it is about.
use std::collections::BTreeMap;

use offpeak_domain::{
    money::{Currency, Money},
    price_list::{PriceList, PriceListError, PriceListId, Tier},
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Minor, Seen, Stored,
    promotions::{FormFault, Mark, Written, group, list, read, title, write, written},
};
use crate::shared::ports::documents::{Documents, ETag, StoreError};

const KIND: &str = "price-list";

/// A price list as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceListForm {
    pub title: String,
    pub currency: String,
    /// Customers of any of these; empty for everybody.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The first moment, RFC 3339.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// The first moment after.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    #[serde(default)]
    pub priority: i32,
    /// Each SKU once.
    pub prices: Vec<PriceForm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceForm {
    pub sku: String,
    pub tiers: Vec<TierForm>,
}

/// The price of one unit from so many on, in minor units of the list's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierForm {
    pub from_units: u32,
    pub price: Minor,
}

impl Stored for Written<PriceListForm> {
    const SCHEMA: &'static str = "price_list/1";
}

impl PriceListForm {
    /// What the form means, checked.
    ///
    /// # Errors
    /// The first [`FormFault`].
    pub fn into_domain(self, id: PriceListId) -> Result<PriceList, FormFault> {
        let currency = Currency::parse(&self.currency).map_err(|err| FormFault::new("currency", err))?;
        let mut prices = BTreeMap::new();
        for (index, price) in self.prices.into_iter().enumerate() {
            let sku = Sku::parse(&price.sku).map_err(|err| FormFault::new(format!("prices[{index}].sku"), err))?;
            let tier = |it: &TierForm| Tier { from_units: it.from_units, price: Money::new(it.price.0, currency) };
            let tiers = price.tiers.iter().map(tier).collect();
            if prices.insert(sku, tiers).is_some() {
                return Err(FormFault::new(format!("prices[{index}].sku"), "this SKU stands in the list twice"));
            }
        }
        let groups = self.groups.iter().map(|it| group("groups", it)).collect::<Result<_, _>>()?;
        let list = PriceList {
            id,
            title: title(&self.title)?,
            currency,
            groups,
            from: self.from,
            until: self.until,
            priority: self.priority,
            prices,
        };
        list.check().map_err(|err| FormFault::new(member(&err), err))?;
        Ok(list)
    }
}

fn member(err: &PriceListError) -> &'static str {
    match err {
        PriceListError::BadId => "id",
        PriceListError::TooManyGroups => "groups",
        PriceListError::BadDates => "until",
        PriceListError::TooManyPrices | PriceListError::BadTiers { .. } | PriceListError::BadPrice { .. } => "prices",
    }
}

/// # Errors
/// As the port's.
pub async fn read_price_list(
    documents: &dyn Documents,
    id: &PriceListId,
) -> Result<Option<Seen<Written<PriceListForm>>>, StoreError> {
    read(documents, KIND, id.as_str()).await
}

/// One page of price lists by id, with where the next begins.
///
/// # Errors
/// As the port's; `Refused` for a cursor of another query.
pub async fn list_price_lists(
    documents: &dyn Documents,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Seen<Written<PriceListForm>>>, Option<String>), StoreError> {
    list(documents, KIND, limit, after).await
}

/// Stores a price list; answers its new version.
///
/// # Errors
/// As the port's: `Changed` or `Exists` if it, or the mark, is not what was seen.
pub async fn write_price_list(
    documents: &dyn Documents,
    id: &PriceListId,
    form: PriceListForm,
    seen: Option<&ETag>,
    mark: &Mark,
    (by, at): (&str, OffsetDateTime),
) -> Result<ETag, StoreError> {
    write(documents, KIND, &written(KIND, id.as_str(), form, by, at), seen, mark).await
}
