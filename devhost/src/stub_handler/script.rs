//! The script of the stub handler:
//! `{"starts":[{"exit":1},{"neverBind":true},{"bindAfterMs":5,"stdout":["…"],"stderr":["…"]}],
//!   "answers":{"Tick":[{"status":500},{"delayMs":10,"exit":1},{"close":true},{"raw":"HTTP/1.1 …"},{"headers":{},"body":"{}"}]}}`.
//!
//! The n-th start takes the n-th entry and the last stays in force, except that a list without an entry means a plain start.
//! Answers are taken in turn by function name (or by path, or `*`), counted over restarts; the last is repeated.
use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Script {
    starts: Vec<Start>,
    answers: BTreeMap<String, Vec<Answer>>,
}

/// What happens at one start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Start {
    pub(super) exit: Option<i32>,
    pub(super) never_bind: bool,
    pub(super) bind_after_ms: u64,
    pub(super) stdout: Vec<String>,
    pub(super) stderr: Vec<String>,
}

/// One answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    /// End the process instead of answering.
    pub(super) exit: Option<i32>,
    /// Close the connection instead of answering.
    pub(super) close: bool,
    pub(super) delay_ms: u64,
    /// The whole answer as it goes onto the wire.
    pub(super) raw: Option<String>,
}

impl Default for Answer {
    fn default() -> Self {
        let (status, headers, body) = (200, BTreeMap::new(), String::new());
        Self { status, headers, body, exit: None, close: false, delay_ms: 0, raw: None }
    }
}

impl Script {
    pub(super) fn read(file: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|it| format!("{file}: {it}"))?;
        serde_json::from_str(&text).map_err(|it| format!("{file}: {it}"))
    }

    /// What happens at the start that has `before` others before it.
    pub(super) fn start(&self, before: usize) -> Start {
        self.starts.get(before).or_else(|| self.starts.last()).cloned().unwrap_or_default()
    }

    /// The answer to request `number` (0 is the first) of `key`; without a script an invocation succeeds.
    pub(super) fn answer(&self, key: &str, number: usize, is_invocation: bool) -> Answer {
        let list = self.answers.get(key).or_else(|| self.answers.get("*").filter(|_| key != "/"));
        let scripted = list.and_then(|it| it.get(number).or_else(|| it.last()));
        scripted.cloned().unwrap_or_else(|| match (is_invocation, key) {
            (true, _) => Answer {
                headers: BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]),
                body: "{}".to_owned(),
                ..Answer::default()
            },
            (false, "/") => Answer { status: 404, ..Answer::default() },
            (false, _) => Answer { body: "stub".to_owned(), ..Answer::default() },
        })
    }
}
