//! A hold's record, one per checkout and SKU.
use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Hold, HoldState, Location, Part},
};
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{PartDocument, part, seen};
use crate::shared::{
    documents::{Seen, Stored, checkout_id_text, has_schema, parse, put},
    ports::documents::{Container, Document, Documents, ETag, StoreError, Write},
};

/// A hold's record is kept this long after its last change; only to tidy, never for correctness.
const HOLD_KEPT: Duration = Duration::days(30);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HoldDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    parts: Vec<PartDocument>,
    minute: i64,
    fence: u32,
    state: String,
}

impl Stored for HoldDocument {
    const SCHEMA: &'static str = "hold/2";
}

/// All units at the one location.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FirstHoldDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    units: i64,
    minute: i64,
    fence: u32,
    state: String,
}

impl Stored for FirstHoldDocument {
    const SCHEMA: &'static str = "hold/1";
}

pub fn hold_id(checkout: CheckoutId) -> String {
    format!("hold:{checkout}")
}

/// # Errors
/// As the port's.
pub async fn read_hold(
    documents: &dyn Documents,
    sku: &Sku,
    checkout: CheckoutId,
) -> Result<Option<Seen<Hold>>, StoreError> {
    documents.read(Container::Stock, sku.as_str(), &hold_id(checkout)).await?.map(parse_hold).transpose()
}

pub(super) fn parse_hold(document: Document) -> Result<Seen<Hold>, StoreError> {
    let id = document.id.clone();
    if has_schema::<FirstHoldDocument>(&document) {
        return seen(parse::<FirstHoldDocument>(document)?, |it| {
            let parts = vec![Part { location: Location::main(), units: it.units }];
            let state = state(&id, &it.state)?;
            Ok(Hold { checkout: it.checkout_id, parts, minute: it.minute, fence: it.fence, state })
        });
    }
    seen(parse::<HoldDocument>(document)?, |it| {
        let parts = it.parts.iter().map(|it| part(&id, it)).collect::<Result<_, _>>()?;
        let state = state(&id, &it.state)?;
        Ok(Hold { checkout: it.checkout_id, parts, minute: it.minute, fence: it.fence, state })
    })
}

fn state(id: &str, name: &str) -> Result<HoldState, StoreError> {
    let states = [HoldState::Live, HoldState::Claimed, HoldState::Released];
    let found = states.into_iter().find(|it| state_name(*it) == name);
    found.ok_or_else(|| StoreError::Unreadable { id: id.to_owned(), reason: format!("hold state `{name}`") })
}

const fn state_name(state: HoldState) -> &'static str {
    match state {
        HoldState::Live => "live",
        HoldState::Claimed => "claimed",
        HoldState::Released => "released",
    }
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_hold(hold: &Hold, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let document = HoldDocument {
        r#type: "hold".to_owned(),
        checkout_id: hold.checkout,
        parts: hold.parts.iter().map(PartDocument::from).collect(),
        minute: hold.minute,
        fence: hold.fence,
        state: state_name(hold.state).to_owned(),
    };
    put(hold_id(hold.checkout), &document, seen, Some(HOLD_KEPT.unsigned_abs()))
}
