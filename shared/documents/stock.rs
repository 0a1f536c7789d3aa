//! Container `stock`, one partition per SKU: `level:<location>`, `hold:<checkout>`, and the movements
//! that explain every change of what is on hand.
use std::collections::BTreeMap;

use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Hold, HoldState, Level},
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Seen, Stored, checkout_id_text, create, parse, put, sku_text};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError, Write};

/// The one location until there are several.
pub const MAIN: &str = "main";

/// A hold's record is kept this long after its last change; only to tidy, never for correctness.
const HOLD_KEPT: Duration = Duration::days(30);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LevelDocument {
    r#type: String,
    #[serde(with = "sku_text")]
    sku: Sku,
    location: String,
    on_hand: i64,
    allocated: i64,
    safety: i64,
    backorder_limit: i64,
    held: BTreeMap<i64, i64>,
    seq: i64,
}

impl Stored for LevelDocument {
    const SCHEMA: &'static str = "level/1";
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HoldDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    units: i64,
    minute: i64,
    fence: u32,
    state: String,
}

impl Stored for HoldDocument {
    const SCHEMA: &'static str = "hold/1";
}

/// Why a level changed. Append-only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Movement {
    pub r#type: String,
    pub location: String,
    /// `stocktake` changes what is on hand, `allocate` promises units to an order, `deallocate` takes it back.
    pub kind: String,
    pub units: i64,
    /// The order or the person behind it.
    pub cause: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Stored for Movement {
    const SCHEMA: &'static str = "movement/1";
}

/// # Errors
/// As the port's.
pub async fn read_level(documents: &dyn Documents, sku: &Sku) -> Result<Option<Seen<Level>>, StoreError> {
    let Some(document) = documents.read(Container::Stock, sku.as_str(), &level_id()).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<LevelDocument>(document)?;
    let level = Level {
        on_hand: value.on_hand,
        allocated: value.allocated,
        safety: value.safety,
        backorder_limit: value.backorder_limit,
        held: value.held,
        seq: value.seq,
    };
    Ok(Some(Seen { value: level, etag }))
}

/// # Errors
/// As the port's.
pub async fn read_hold(
    documents: &dyn Documents,
    sku: &Sku,
    checkout: CheckoutId,
) -> Result<Option<Seen<Hold>>, StoreError> {
    let id = hold_id(checkout);
    let Some(document) = documents.read(Container::Stock, sku.as_str(), &id).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<HoldDocument>(document)?;
    let state = match value.state.as_str() {
        "live" => HoldState::Live,
        "claimed" => HoldState::Claimed,
        "released" => HoldState::Released,
        other => return Err(StoreError::Unreadable { id, reason: format!("hold state `{other}`") }),
    };
    let hold =
        Hold { checkout: value.checkout_id, units: value.units, minute: value.minute, fence: value.fence, state };
    Ok(Some(Seen { value: hold, etag }))
}

/// Writes the level as it now is, guarded by what was seen.
///
/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_level(sku: &Sku, level: &Level, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let document = LevelDocument {
        r#type: "level".to_owned(),
        sku: sku.clone(),
        location: MAIN.to_owned(),
        on_hand: level.on_hand,
        allocated: level.allocated,
        safety: level.safety,
        backorder_limit: level.backorder_limit,
        held: level.held.clone(),
        seq: level.seq,
    };
    put(level_id(), &document, seen, None)
}

/// # Errors
/// As [`put_level`].
pub fn put_hold(hold: &Hold, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let document = HoldDocument {
        r#type: "hold".to_owned(),
        checkout_id: hold.checkout,
        units: hold.units,
        minute: hold.minute,
        fence: hold.fence,
        state: match hold.state {
            HoldState::Live => "live",
            HoldState::Claimed => "claimed",
            HoldState::Released => "released",
        }
        .to_owned(),
    };
    put(hold_id(hold.checkout), &document, seen, Some(HOLD_KEPT.unsigned_abs()))
}

/// The movement that belongs to the level's change number `seq`.
///
/// # Errors
/// As [`put_level`].
pub fn add_movement(seq: i64, kind: &str, units: i64, cause: String, at: OffsetDateTime) -> Result<Write, StoreError> {
    let movement =
        Movement { r#type: "movement".to_owned(), location: MAIN.to_owned(), kind: kind.to_owned(), units, cause, at };
    create(format!("movement:{MAIN}:{seq:012}"), &movement, None)
}

fn level_id() -> String {
    format!("level:{MAIN}")
}

fn hold_id(checkout: CheckoutId) -> String {
    format!("hold:{checkout}")
}
