//! What the handler prints, line by line, at the host's levels: stdout is Information, stderr is Error unless it says "warn".
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    task::JoinHandle,
};

/// Longest line that is kept whole, in bytes; a longer one is cut into several.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How many of the last stderr lines a crash report carries.
const REPORTED_LINES: usize = 3;
/// Lines for the platform's own tools, not for people.
const TOOL_PREFIXES: [&str; 2] = ["LanguageWorkerConsoleLog", "azfuncjsonlog:"];

/// The last lines of stderr.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == REPORTED_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The lines kept, oldest first.
    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Tool,
    Information,
    Warning,
    Error,
}

/// Logs stdout until it closes.
pub(super) fn follow_stdout(stream: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(follow(stream, |line| log(level(line, false), line)))
}

/// Logs stderr until it closes and keeps its last lines.
pub(super) fn follow_stderr(stream: impl AsyncRead + Unpin + Send + 'static, last: LastLines) -> JoinHandle<()> {
    tokio::spawn(follow(stream, move |line| {
        last.push(line);
        log(level(line, true), line);
    }))
}

async fn follow(stream: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
        }
    }
}

fn level(line: &str, is_stderr: bool) -> Level {
    if TOOL_PREFIXES.iter().any(|prefix| line.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))) {
        Level::Tool
    } else if !is_stderr {
        Level::Information
    } else if line.to_ascii_lowercase().contains("warn") {
        Level::Warning
    } else {
        Level::Error
    }
}

fn log(level: Level, line: &str) {
    match level {
        Level::Tool => tracing::debug!(target: "handler", "{line}"),
        Level::Information => tracing::info!(target: "handler", "{line}"),
        Level::Warning => tracing::warn!(target: "handler", "{line}"),
        Level::Error => tracing::error!(target: "handler", "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_levels_of_the_host() {
        assert_eq!(level("ERROR it broke", false), Level::Information);
        assert_eq!(level("it broke", true), Level::Error);
        assert_eq!(level("  WARNING: it creaks", true), Level::Warning);
        assert_eq!(level("languageworkerconsolelogmore", true), Level::Tool);
    }

    #[tokio::test]
    async fn lines_are_cut_and_the_last_three_kept() {
        let last = LastLines::default();
        let text = format!("one\ntwo\r\nthree\nfour\n{}", "x".repeat(70_000));
        let mut seen = 0;
        follow(text.as_bytes(), |line| {
            seen += 1;
            last.push(line);
        })
        .await;
        assert_eq!(seen, 6);
        assert!(last.text().starts_with("four | xxx"));
    }
}
