//! The properties of a message that is a JSON object become metadata, over what the broker says of the message.
//!
//! Scalars arrive as .NET writes them in the invariant culture, which is why `true` becomes `True` and a date loses its form.
use serde_json::{Number, Value};
use time::{
    OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

use crate::invoke::Meta;

/// The metadata that the top-level properties of `text` become; none when it is not a JSON object.
pub(super) fn promoted(text: &str) -> Vec<(String, Meta)> {
    let trimmed = text.trim();
    if !(trimmed.starts_with('{') && trimmed.ends_with('}')) {
        return Vec::new();
    }
    let Ok(Value::Object(members)) = serde_json::from_str(trimmed) else { return Vec::new() };
    members.into_iter().filter_map(|(name, value)| Some((name, fact(value)?))).collect()
}

fn fact(value: Value) -> Option<Meta> {
    Some(match value {
        Value::Null | Value::Array(_) => return None,
        Value::Object(_) => Meta::Object(value),
        Value::Bool(true) => Meta::Text("True".to_owned()),
        Value::Bool(false) => Meta::Text("False".to_owned()),
        Value::Number(number) => Meta::Text(invariant(&number)),
        Value::String(text) => Meta::Text(moment(&text).unwrap_or(text)),
    })
}

/// A whole double has no fraction in .NET's text.
fn invariant(number: &Number) -> String {
    let text = number.to_string();
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A text that Newtonsoft takes for a date, as the invariant culture writes dates. Offsets are turned into UTC, the zone of
/// the platform's machines.
fn moment(text: &str) -> Option<String> {
    if text.len() < 19 || text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let zoneless = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map(|it| it.to_offset(UtcOffset::UTC))
        .or_else(|_| PrimitiveDateTime::parse(text, zoneless).map(PrimitiveDateTime::assume_utc))
        .ok()?;
    moment.format(format_description!("[month]/[day]/[year] [hour]:[minute]:[second]")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_become_invariant_text_and_objects_stay() {
        let body = json!({"n": 5, "f": 1.5, "w": 2.0, "t": true, "at": "2024-05-01T10:00:00.123Z", "o": {"a": 1},
            "none": null, "list": [1], "day": "2024-05-01"});
        let text = |it: &str| Meta::Text(it.to_owned());
        let expected = [
            ("n", text("5")),
            ("f", text("1.5")),
            ("w", text("2")),
            ("t", text("True")),
            ("at", text("05/01/2024 10:00:00")),
            ("o", Meta::Object(json!({"a": 1}))),
            ("day", text("2024-05-01")),
        ];
        assert_eq!(promoted(&body.to_string()), expected.map(|(name, fact)| (name.to_owned(), fact)));
        assert_eq!(promoted("hello"), []);
        assert_eq!(promoted("{broken}"), []);
        assert_eq!(promoted("[1]"), []);
    }
}
