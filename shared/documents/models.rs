//! The models of recommendations that are kept, and the one that a person holds: one document of the store.
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Seen, Stored, parse, publications::Publication, put, recommendations::Judged, settings::STORE};
use crate::shared::ports::{
    documents::{Container, Documents, ETag, StoreError},
    objects::{ObjectName, ObjectNameError},
};

const ID: &str = "models";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Models {
    pub hold: Option<Hold>,
    /// Oldest first.
    pub kept: Vec<KeptModel>,
}

/// A person's word that this model answers, whatever is made meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    pub version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// From then on it holds no more.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    pub by: String,
}

/// A model that was published and is still there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptModel {
    pub version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub clicks: u64,
    pub sessions: u64,
    pub items: u64,
    /// How it was judged before it was published.
    pub judged: Option<Judged>,
    pub first: KeptFile,
    pub whole: KeptFile,
}

/// A publication, to be made current again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptFile {
    pub object: String,
    pub bytes: u64,
    pub sha256: String,
}

impl KeptFile {
    /// # Errors
    /// [`ObjectNameError`].
    pub fn publication(&self) -> Result<Publication, ObjectNameError> {
        let object = ObjectName::parse(self.object.as_str())?;
        Ok(Publication { object, bytes: self.bytes, sha256: self.sha256.clone() })
    }
}

impl From<&Publication> for KeptFile {
    fn from(of: &Publication) -> KeptFile {
        KeptFile { object: of.object.to_string(), bytes: of.bytes, sha256: of.sha256.clone() }
    }
}

impl Models {
    /// What a person holds at this time.
    pub fn held(&self, now: OffsetDateTime) -> Option<&Hold> {
        self.hold.as_ref().filter(|it| now < it.until)
    }

    pub fn model(&self, version: &str) -> Option<&KeptModel> {
        self.kept.iter().find(|it| it.version == version)
    }
}

impl Stored for Models {
    const SCHEMA: &'static str = "models/1";
}

/// # Errors
/// As the port's.
pub async fn read_models(documents: &dyn Documents) -> Result<Option<Seen<Models>>, StoreError> {
    documents.read(Container::Stores, STORE, ID).await?.map(parse).transpose()
}

/// # Errors
/// As the port's; `Changed` and `Exists` if somebody else was faster.
pub async fn write_models(documents: &dyn Documents, models: &Models, seen: Option<&ETag>) -> Result<ETag, StoreError> {
    let written = documents.write(Container::Stores, STORE, vec![put(ID, models, seen, None)?]).await?;
    Ok(written.into_iter().next().unwrap_or(ETag(String::new())))
}
