//! What a pointer among the objects says: which object is the current one, and what it must be like.
use serde::{Deserialize, Serialize};

use crate::shared::ports::objects::{ObjectError, ObjectName};

const SCHEMA: &str = "publication/1";

/// One object that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub object: ObjectName,
    pub bytes: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

impl Publication {
    /// The last part of its object's name.
    pub fn version(&self) -> &str {
        self.object.as_str().rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PublicationDocument {
    schema: String,
    object: String,
    bytes: u64,
    sha256: String,
}

/// The text to store.
///
/// # Errors
/// `Refused` if it has no JSON form: our own fault.
pub fn text(publication: &Publication) -> Result<String, ObjectError> {
    let Publication { object, bytes, sha256 } = publication;
    let document = PublicationDocument {
        schema: SCHEMA.to_owned(),
        object: object.to_string(),
        bytes: *bytes,
        sha256: sha256.clone(),
    };
    serde_json::to_string(&document).map_err(|err| ObjectError::Refused(err.to_string()))
}

/// Reads what a pointer says.
///
/// # Errors
/// `Refused` for an unknown shape.
pub fn parse(pointer: &ObjectName, text: &str) -> Result<Publication, ObjectError> {
    let refused = |reason: String| ObjectError::Refused(format!("{pointer} cannot be read: {reason}"));
    let document: PublicationDocument = serde_json::from_str(text).map_err(|err| refused(err.to_string()))?;
    if document.schema != SCHEMA {
        return Err(refused(format!("schema is {}, this version reads {SCHEMA}", document.schema)));
    }
    let object = ObjectName::parse(document.object).map_err(|err| refused(err.to_string()))?;
    Ok(Publication { object, bytes: document.bytes, sha256: document.sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let pointer = ObjectName::parse("index/current").unwrap();
        let object = ObjectName::parse("index/versions/01").unwrap();
        let publication = Publication { object, bytes: 90_000_000, sha256: "ab".repeat(32) };
        assert_eq!(parse(&pointer, &text(&publication).unwrap()).unwrap(), publication);
        for bad in [
            "",
            "{}",
            r#"{"schema":"publication/2","object":"a","bytes":1,"sha256":"ab"}"#,
            r#"{"schema":"publication/1","object":"../a","bytes":1,"sha256":"ab"}"#,
        ] {
            assert!(matches!(parse(&pointer, bad), Err(ObjectError::Refused(_))), "{bad}");
        }
    }
}
