//! What the pointer of a partition says: how far the partition has been read, and where the clicks of each of its last
//! minutes lie.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::shared::ports::objects::{ObjectError, ObjectName};

const SCHEMA: &str = "live/1";

/// The last hour of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveHour {
    /// Number of the last event that is in it.
    pub last: Option<i64>,
    /// Minute since 1970, and the number of the last event of its segment, which names the object.
    pub minutes: BTreeMap<u32, i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LiveHourDocument {
    schema: String,
    last: Option<i64>,
    minutes: BTreeMap<u32, i64>,
}

/// The text to store.
///
/// # Errors
/// `Refused` if it has no JSON form: our own fault.
pub fn text(hour: &LiveHour) -> Result<String, ObjectError> {
    let document = LiveHourDocument { schema: SCHEMA.to_owned(), last: hour.last, minutes: hour.minutes.clone() };
    serde_json::to_string(&document).map_err(|err| ObjectError::Refused(err.to_string()))
}

/// Reads what a pointer says.
///
/// # Errors
/// `Refused` for an unknown shape.
pub fn parse(pointer: &ObjectName, text: &str) -> Result<LiveHour, ObjectError> {
    let refused = |reason: String| ObjectError::Refused(format!("{pointer} cannot be read: {reason}"));
    let document: LiveHourDocument = serde_json::from_str(text).map_err(|err| refused(err.to_string()))?;
    if document.schema != SCHEMA {
        return Err(refused(format!("schema is {}, this version reads {SCHEMA}", document.schema)));
    }
    Ok(LiveHour { last: document.last, minutes: document.minutes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::ports::objects::POINTER_MAX_BYTES;

    #[test]
    fn an_hour_of_the_longest_numbers_fits_a_pointer_and_nothing_else_is_read() {
        let pointer = ObjectName::parse("clicks/live/0").unwrap();
        let minutes = (0..92).map(|it| (u32::MAX / 60 - it, i64::MAX)).collect();
        let hour = LiveHour { last: Some(i64::MAX), minutes };
        let stored = text(&hour).unwrap();
        assert!(stored.len() <= POINTER_MAX_BYTES, "{}", stored.len());
        assert_eq!(parse(&pointer, &stored).unwrap(), hour);
        for bad in ["", "{}", r#"{"schema":"live/2","last":null,"minutes":{}}"#] {
            assert!(matches!(parse(&pointer, bad), Err(ObjectError::Refused(_))), "{bad}");
        }
    }
}
