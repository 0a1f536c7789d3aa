//! What other systems said of one SKU at one location, beside its level.
use std::collections::BTreeMap;

use offpeak_domain::{
    sku::Sku,
    stock::{
        Location,
        sources::{Said, Source, SourceName, Sources},
    },
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::seen;
use crate::shared::{
    documents::{Seen, Stored, parse, put},
    ports::documents::{Container, Documents, ETag, StoreError, Write},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourcesDocument {
    r#type: String,
    sources: BTreeMap<String, SourceDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceDocument {
    version: Option<i64>,
    absolute: Option<SaidDocument>,
    floor: i64,
    relatives: BTreeMap<i64, SaidDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SaidDocument {
    quantity: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Stored for SourcesDocument {
    const SCHEMA: &'static str = "stock_sources/1";
}

impl From<&Said> for SaidDocument {
    fn from(said: &Said) -> SaidDocument {
        SaidDocument { quantity: said.quantity, at: said.at }
    }
}

impl From<SaidDocument> for Said {
    fn from(said: SaidDocument) -> Said {
        Said { quantity: said.quantity, at: said.at }
    }
}

fn sources_id(location: &Location) -> String {
    format!("sources:{location}")
}

/// # Errors
/// As the port's.
pub async fn read_sources(
    documents: &dyn Documents,
    sku: &Sku,
    location: &Location,
) -> Result<Option<Seen<Sources>>, StoreError> {
    let id = sources_id(location);
    let Some(document) = documents.read(Container::Stock, sku.as_str(), &id).await? else { return Ok(None) };
    let read = seen(parse::<SourcesDocument>(document)?, |it| {
        let mut sources = Sources::default();
        for (name, source) in it.sources {
            let unreadable = |reason: String| StoreError::Unreadable { id: id.clone(), reason };
            let name = SourceName::parse(&name).map_err(|err| unreadable(err.to_string()))?;
            let source = Source {
                absolute: source.version.zip(source.absolute.map(Said::from)),
                floor: source.floor,
                relatives: source.relatives.into_iter().map(|(version, said)| (version, said.into())).collect(),
            };
            sources.by_name.insert(name, source);
        }
        Ok(sources)
    })?;
    Ok(Some(read))
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_sources(location: &Location, sources: &Sources, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let source = |source: &Source| SourceDocument {
        version: source.absolute.map(|(version, _)| version),
        absolute: source.absolute.as_ref().map(|(_, said)| said.into()),
        floor: source.floor,
        relatives: source.relatives.iter().map(|(version, said)| (*version, said.into())).collect(),
    };
    let sources = sources.by_name.iter().map(|(name, it)| (name.as_str().to_owned(), source(it))).collect();
    put(sources_id(location), &SourcesDocument { r#type: "sources".to_owned(), sources }, seen, None)
}
