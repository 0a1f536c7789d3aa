//! The level document: all locations of one SKU, of constant size however many hold it.
use std::collections::BTreeMap;

use offpeak_domain::{
    sku::Sku,
    stock::{Level, Levels},
};
use serde::{Deserialize, Serialize};

use super::{location, seen};
use crate::shared::{
    documents::{Seen, Stored, has_schema, parse, put, sku_text},
    ports::documents::{Container, Document, Documents, ETag, StoreError, Write},
};

/// Named when there was one location; kept, so that one read finds a document of either age.
pub const LEVEL_ID: &str = "level:main";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LevelsDocument {
    r#type: String,
    #[serde(with = "sku_text")]
    sku: Sku,
    locations: BTreeMap<String, LevelDocument>,
    seq: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LevelDocument {
    on_hand: i64,
    allocated: i64,
    safety: i64,
    /// Null: without end.
    backorder_limit: Option<i64>,
    held: BTreeMap<i64, i64>,
}

impl Stored for LevelsDocument {
    const SCHEMA: &'static str = "level/2";
}

/// One location only.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FirstLevelDocument {
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

impl Stored for FirstLevelDocument {
    const SCHEMA: &'static str = "level/1";
}

/// # Errors
/// As the port's.
pub async fn read_levels(documents: &dyn Documents, sku: &Sku) -> Result<Option<Seen<Levels>>, StoreError> {
    documents.read(Container::Stock, sku.as_str(), LEVEL_ID).await?.map(parse_levels).transpose()
}

pub(super) fn parse_levels(document: Document) -> Result<Seen<Levels>, StoreError> {
    if has_schema::<FirstLevelDocument>(&document) {
        return seen(parse::<FirstLevelDocument>(document)?, |it| {
            let FirstLevelDocument { on_hand, allocated, safety, held, .. } = it;
            let level = Level { on_hand, allocated, safety, backorder_limit: Some(it.backorder_limit), held };
            Ok(Levels { by_location: BTreeMap::from([(location(LEVEL_ID, &it.location)?, level)]), seq: it.seq })
        });
    }
    seen(parse::<LevelsDocument>(document)?, |it| {
        let mut by_location = BTreeMap::new();
        for (name, level) in it.locations {
            let LevelDocument { on_hand, allocated, safety, backorder_limit, held } = level;
            let level = Level { on_hand, allocated, safety, backorder_limit, held };
            by_location.insert(location(LEVEL_ID, &name)?, level);
        }
        Ok(Levels { by_location, seq: it.seq })
    })
}

/// Writes the levels as they now are, guarded by what was seen.
///
/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_levels(sku: &Sku, levels: &Levels, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let level = |level: &Level| LevelDocument {
        on_hand: level.on_hand,
        allocated: level.allocated,
        safety: level.safety,
        backorder_limit: level.backorder_limit,
        held: level.held.clone(),
    };
    let document = LevelsDocument {
        r#type: "level".to_owned(),
        sku: sku.clone(),
        locations: levels.by_location.iter().map(|(name, it)| (name.to_string(), level(it))).collect(),
        seq: levels.seq,
    };
    put(LEVEL_ID, &document, seen, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offpeak_domain::stock::Location;
    use serde_json::json;

    #[test]
    fn a_document_of_one_location_is_read_and_written_as_one_of_several() {
        let body = json!({
            "schema": "level/1", "type": "level", "sku": "JUG", "location": "main", "onHand": 7, "allocated": 2,
            "safety": 0, "backorderLimit": 0, "held": { "29000000": 3 }, "seq": 9,
        });
        let (partition, id, etag) = ("JUG".to_owned(), LEVEL_ID.to_owned(), ETag("1".to_owned()));
        let old = parse_levels(Document { partition: partition.clone(), id: id.clone(), etag: etag.clone(), body });
        let old = old.unwrap();
        assert_eq!((old.value.seq, old.value.by_location[&Location::main()].allocated), (9, 2));
        let sku = Sku::parse("JUG").unwrap();
        let Ok(Write::Replace { body, .. }) = put_levels(&sku, &old.value, Some(&etag)) else { panic!("a replace") };
        assert_eq!(body["schema"], "level/2");
        assert_eq!(body["locations"]["main"]["held"], json!({ "29000000": 3 }));
        assert_eq!(parse_levels(Document { partition, id, etag, body }).unwrap(), old);
    }
}
