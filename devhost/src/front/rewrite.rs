//! What forwarding does to a URL on its way: the path is decoded and encoded again, the query becomes a dictionary.
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a .NET `Uri` escapes in a path; reserved characters stay.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path as the handler sees it. An escaped `?` or `#` inside a segment cuts it, because it is decoded first.
pub(super) fn forwarded_path(path: &str) -> String {
    // The server keeps an escaped slash as it is; everything else is decoded.
    let kept = path.replace("%2F", "%252F").replace("%2f", "%252f");
    let decoded = percent_decode_str(&kept).decode_utf8_lossy().into_owned();
    let cut = decoded.find(['?', '#']).unwrap_or(decoded.len());
    let mut encoded = String::with_capacity(cut);
    let mut rest = &decoded[..cut];
    while let Some(at) = rest.find('%') {
        encoded.extend(utf8_percent_encode(&rest[..at], PATH));
        let is_escape = rest.as_bytes().get(at + 1..at + 3).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit));
        encoded.push_str(if is_escape { "%" } else { "%25" });
        rest = &rest[at + 1..];
    }
    encoded.extend(utf8_percent_encode(rest, PATH));
    encoded
}

/// The query with its `?`: repeated keys (compared without regard to case) joined by a comma at the place of the first.
pub(super) fn forwarded_query(query: Option<&str>) -> String {
    let mut joined: Vec<(String, String)> = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|it| !it.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key), decoded(value));
        match joined.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(&key)) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => joined.push((key, value)),
        }
    }
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs: Vec<String> = joined.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_rewritten_as_older_hosts_do() {
        assert_eq!(forwarded_path("/api/items/a%20b"), "/api/items/a%20b");
        assert_eq!(forwarded_path("/api/items/a%3Fb/c"), "/api/items/a");
        assert_eq!(forwarded_path("/api/a%2Fb/caf%C3%A9/100%25"), "/api/a%2Fb/caf%C3%A9/100%25");
        assert_eq!(forwarded_query(Some("x=1&x=2&y=%26")), "?x=1%2C2&y=%26");
        assert_eq!(forwarded_query(Some("")), "");
        assert_eq!(forwarded_query(None), "");
    }
}
