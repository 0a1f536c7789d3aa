//! The record of the stub handler: one JSON line per start and per request, appended in one write so that several processes
//! may share the file.
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

/// One request as it came.
#[derive(Debug)]
pub(super) struct Request {
    /// Request line and headers with their line ends.
    pub(super) head: String,
    /// The body after its chunks were joined.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The function's name of a JSON invocation, or the path.
    pub(super) fn key(&self) -> String {
        let path = self.head.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
        if self.is_invocation() { path.trim_start_matches('/').to_owned() } else { path.to_owned() }
    }

    /// Whether this is a JSON invocation: a POST to a single segment with the host's header.
    pub(super) fn is_invocation(&self) -> bool {
        let path = self.head.split(' ').nth(1).unwrap_or("/");
        self.head.starts_with("POST ")
            && path.matches('/').count() == 1
            && header(&self.head, "x-azure-functions-invocationid").is_some()
    }
}

/// The value of a header of `head`.
pub(super) fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().skip(1).filter_map(|it| it.split_once(':'));
    lines.into_iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// Appends to the record.
#[derive(Debug)]
pub(super) struct Recorder {
    file: Mutex<File>,
    starts_before: usize,
    received: Mutex<BTreeMap<String, usize>>,
}

impl Recorder {
    /// Opens the record and counts what earlier processes wrote.
    pub(super) fn open(path: &str) -> std::io::Result<Self> {
        let mut starts_before = 0;
        let mut received = BTreeMap::new();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let entry: Value = serde_json::from_str(line).unwrap_or_default();
            match entry["key"].as_str() {
                Some(key) => *received.entry(key.to_owned()).or_insert(0) += 1,
                None => starts_before += 1,
            }
        }
        let file = Mutex::new(OpenOptions::new().append(true).create(true).open(path)?);
        Ok(Self { file, starts_before, received: Mutex::new(received) })
    }

    /// How many processes started before this one.
    pub(super) fn starts_before(&self) -> usize {
        self.starts_before
    }

    /// Notes this start: process id, working folder, arguments and the variables that the host sets.
    pub(super) fn started(&self) -> std::io::Result<()> {
        let is_ours = |name: &str| ["FUNCTIONS_", "OFFPEAK_", "STUB_"].iter().any(|it| name.starts_with(it));
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| is_ours(name) || name == "TMPDIR")
            .collect();
        let arguments: Vec<String> = std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
        let folder = std::env::current_dir()?.display().to_string();
        let entry =
            json!({"start": std::process::id(), "folder": folder, "arguments": arguments, "environment": environment});
        self.append(&entry)
    }

    /// Notes a request and answers how many of the same key came before.
    pub(super) fn received(&self, request: &Request) -> std::io::Result<usize> {
        let key = request.key();
        let number = {
            let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            let count = received.entry(key.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        let body = BASE64.encode(&request.body);
        self.append(&json!({"key": key, "process": std::process::id(), "head": request.head, "body": body}))?;
        Ok(number)
    }

    fn append(&self, entry: &Value) -> std::io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{entry}\n").as_bytes())
    }
}
