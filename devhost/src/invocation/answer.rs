//! Judges the handler's answer to a JSON invocation.
//!
//! The real host hangs on an empty answer until the function time-out and then kills the process. Here that is a protocol
//! error which is shouted at once, unless the dev host was told to be faithful.
use http::StatusCode;
use serde_json::Value;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The invocation succeeded; its log lines.
    Success(Vec<String>),
    /// The invocation failed as on the real host.
    Failure(String),
    /// The real host would hang, or quietly do something else than what was meant.
    Trap(Trap),
}

/// An answer that must never be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trap {
    pub(super) reason: String,
    /// Whether the real host leaves the invocation open until the function time-out.
    pub(super) hangs: bool,
    /// What the real host makes of it when it does not hang.
    pub(super) logs: Vec<String>,
}

/// The verdict on `status`, `Content-Type` and body.
pub(super) fn judge(status: StatusCode, content_type: Option<&str>, body: &[u8]) -> Verdict {
    if status.is_redirection() {
        return Verdict::Failure(format!("the handler answered {status}; a redirect must not be sent to the host"));
    }
    if !status.is_success() {
        let reason = status.canonical_reason().unwrap_or_default();
        return Verdict::Failure(format!(
            "Response status code does not indicate success: {} ({reason}).",
            status.as_u16()
        ));
    }
    if status == StatusCode::NO_CONTENT || body.is_empty() {
        return hanging(format!("an empty {} answer leaves the invocation open", status.as_u16()));
    }
    let media_type = content_type.and_then(|it| it.split(';').next()).map(|it| it.trim().to_ascii_lowercase());
    match media_type.as_deref() {
        Some("application/json" | "text/json") => {}
        _ => return invalid(&format!("its Content-Type is {}", content_type.unwrap_or("absent"))),
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) => hanging("the answer `null` leaves the invocation open".to_owned()),
        Ok(Value::Object(members)) => judge_members(&members),
        Ok(_) => invalid("it is not a JSON object"),
        Err(fault) => invalid(&format!("it is not JSON: {fault}")),
    }
}

fn judge_members(members: &serde_json::Map<String, Value>) -> Verdict {
    let mut logs = Vec::new();
    let mut outputs = None;
    for (name, value) in members {
        match name.to_ascii_lowercase().as_str() {
            "outputs" => match value {
                Value::Null => {}
                Value::Object(content) => outputs = Some(content),
                _ => return invalid("`Outputs` is not an object"),
            },
            "logs" => match log_lines(value) {
                Some(lines) => logs = lines,
                None => return invalid("`Logs` is not an array of texts"),
            },
            _ => {}
        }
    }
    let bare = outputs.into_iter().flatten().find(|(_, value)| value.is_string());
    match bare {
        Some((name, _)) => Verdict::Trap(Trap {
            reason: format!(
                "the output `{name}` is a bare string, which the host may decode as base64; send an array of strings"
            ),
            hangs: false,
            logs,
        }),
        None => Verdict::Success(logs),
    }
}

/// Scalars are turned into text; objects and arrays inside are refused.
fn log_lines(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(lines) => lines
            .iter()
            .map(|line| match line {
                Value::String(text) => Some(text.clone()),
                Value::Null => Some(String::new()),
                Value::Bool(_) | Value::Number(_) => Some(line.to_string()),
                Value::Array(_) | Value::Object(_) => None,
            })
            .collect(),
        _ => None,
    }
}

fn hanging(reason: String) -> Verdict {
    Verdict::Trap(Trap { reason, hangs: true, logs: Vec::new() })
}

fn invalid(reason: &str) -> Verdict {
    Verdict::Failure(format!("Invalid HttpResponseMessage: {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, content_type: &str, body: &str) -> Verdict {
        let content_type = Some(content_type).filter(|it| !it.is_empty());
        judge(StatusCode::from_u16(status).unwrap(), content_type, body.as_bytes())
    }

    #[test]
    fn answers_are_judged_as_the_host_judges_them() {
        let success = |lines: &[&str]| Verdict::Success(lines.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(judged(200, "application/json", "{}"), success(&[]));
        assert_eq!(
            judged(201, "text/json; charset=utf-8", r#"{"logs":["a",1],"OUTPUTS":{"o":["x"]}}"#),
            success(&["a", "1"])
        );
        for (status, content_type, body) in [
            (500, "application/json", r#"{"Logs":["x"]}"#),
            (302, "application/json", "{}"),
            (200, "text/plain", "{}"),
            (200, "application/problem+json", "{}"),
            (200, "", "{}"),
            (200, "application/json", r#"{"Outputs":"#),
            (200, "application/json", r#"{"Outputs":[]}"#),
            (200, "application/json", r#"{"Logs":[{"m":1}]}"#),
            (200, "application/json", "[]"),
        ] {
            let verdict = judged(status, content_type, body);
            assert!(matches!(verdict, Verdict::Failure(_)), "{status} {content_type} {body}: {verdict:?}");
        }
    }

    #[test]
    fn traps_are_told_apart() {
        for (status, body, hangs) in
            [(204, "", true), (200, "", true), (200, "null", true), (200, r#"{"Outputs":{"out":"test"}}"#, false)]
        {
            let verdict = judged(status, "application/json", body);
            assert!(matches!(&verdict, Verdict::Trap(trap) if trap.hangs == hangs), "{status} {body}: {verdict:?}");
        }
    }
}
