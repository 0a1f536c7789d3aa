//! `GET /dev/mail`: what the shop delivered on this machine, read from the `.eml` files that it wrote.
//!
//! What must stay true: only whole files are read (the shop renames them into place, so a name that is not `*.eml` is still being
//! written), and a file that is not a mail hides no other.
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use http::StatusCode;
use mail_parser::{Address, Message, MessageParser};
use serde_json::{Value, json};

use crate::rest::{Reply, fault, json_reply};

/// Largest mail shown; a confirmation has a few kilobytes.
const MAIL_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The folder of delivered mails.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
}

impl Mailbox {
    /// The mailbox in `folder`, which need not exist yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// All mails, newest last: `{items:[{eventId,to,from,subject,text,html,date}]}`.
    pub async fn mails(&self) -> Reply {
        let folder = self.folder.clone();
        match tokio::task::spawn_blocking(move || read(&folder)).await {
            Ok(Ok(items)) => json_reply(StatusCode::OK, &json!({ "items": items })),
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "The mail folder cannot be read.");
                fault(StatusCode::SERVICE_UNAVAILABLE, "the mail folder cannot be read; see the dev host's log")
            }
            Err(_) => fault(StatusCode::SERVICE_UNAVAILABLE, "the mail folder was not read"),
        }
    }
}

fn read(folder: &Path) -> Result<Vec<Value>, std::io::Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files: Vec<(SystemTime, String, PathBuf)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(event_id) = name.strip_suffix(".eml").filter(|id| !id.is_empty() && !id.starts_with('.')) else {
            continue;
        };
        let about = entry.metadata()?;
        if about.is_file() && about.len() <= MAIL_MAX_BYTES {
            files.push((about.modified()?, event_id.to_owned(), entry.path()));
        } else {
            tracing::warn!(name, "A mail is not shown: it is too large or not a file.");
        }
    }
    files.sort();
    let mut items = Vec::with_capacity(files.len());
    for (_, event_id, path) in files {
        let bytes = std::fs::read(&path)?;
        match MessageParser::default().parse(&bytes) {
            Some(mail) => items.push(view(&event_id, &mail)),
            None => tracing::warn!(event_id, "A file in the mail folder is not a mail."),
        }
    }
    Ok(items)
}

fn view(event_id: &str, mail: &Message<'_>) -> Value {
    json!({
        "eventId": event_id,
        "to": mail.to().map(addresses),
        "from": mail.from().map(addresses),
        "subject": mail.subject(),
        "text": mail.body_text(0),
        "html": mail.body_html(0),
        "date": mail.date().map(mail_parser::DateTime::to_rfc3339),
    })
}

/// The bare addresses, joined by commas where there are several.
fn addresses(address: &Address<'_>) -> String {
    let all: Vec<&str> = address.iter().filter_map(|one| one.address()).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: Shop <shop@example.test>\r\nTo: Ada <ada@example.test>\r\nSubject: =?utf-8?q?Bestellung_best=C3=A4tigt?=\r\n\
        Date: Sun, 22 Nov 2026 14:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThanks\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Thanks</p>\r\n--b--\r\n";

    #[test]
    fn whole_mails_are_shown_and_others_hide_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("absent")).unwrap(), Vec::<Value>::new());
        std::fs::write(folder.path().join("evt_1.eml"), MAIL).unwrap();
        std::fs::write(folder.path().join("evt_2.eml.tmp"), MAIL).unwrap();
        std::fs::write(folder.path().join(".evt_3.eml"), MAIL).unwrap();
        std::fs::write(folder.path().join("evt_4.eml"), "").unwrap();
        let items = read(folder.path()).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            items[0],
            json!({"eventId": "evt_1", "to": "ada@example.test", "from": "shop@example.test", "subject": "Bestellung bestätigt",
                   "text": "Thanks", "html": "<p>Thanks</p>", "date": "2026-11-22T14:00:00Z"})
        );
    }
}
