//! Which checkout each invoice became, so that a replay that was ended half-way, or is simply run again, asks
//! for the same orders instead of placing them twice: the payment's key is the invoice's, and the shop answers
//! a known key with the order it made.
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

/// All that is needed to complete a checkout again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) invoice: String,
    pub(super) checkout: String,
    pub(super) token: String,
    /// As the shop said it.
    pub(super) total: Value,
}

/// The checkouts begun so far, one JSON object a line, appended as they begin.
#[derive(Default)]
pub(super) struct Journal {
    known: HashMap<String, Begun>,
    file: Option<Mutex<File>>,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Journal, Failure> {
        let open = OpenOptions::new().create(true).read(true).append(true).open(path);
        let file = open.map_err(Failure::file("open", path))?;
        let mut known = HashMap::new();
        for line in BufReader::new(&file).lines() {
            // A line cut short by a kill stands for a checkout that was not completed: it is begun anew.
            if let Ok(begun) = serde_json::from_str::<Begun>(&line.map_err(Failure::file("read", path))?) {
                known.insert(begun.invoice.clone(), begun);
            }
        }
        Ok(Journal { known, file: Some(Mutex::new(file)) })
    }

    pub(super) fn known(&self, invoice: &str) -> Option<&Begun> {
        self.known.get(invoice)
    }

    /// Written before the order is placed. A line begins on its own even after one that was cut short.
    pub(super) fn note(&self, begun: &Begun) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        let line = serde_json::to_string(begun).map_err(|err| Failure::new(err.to_string()))?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("\n{line}\n").as_bytes()).map_err(|err| Failure::new(format!("the journal: {err}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let begun = |invoice: &str, checkout: &str| Begun {
            invoice: invoice.to_owned(),
            checkout: checkout.to_owned(),
            token: "t".to_owned(),
            total: serde_json::json!({ "amount": "1", "currency": "GBP" }),
        };
        let journal = Journal::open(&path).unwrap();
        journal.note(&begun("1", "chk_1")).unwrap();
        journal.note(&begun("2", "chk_2")).unwrap();
        journal.note(&begun("1", "chk_3")).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\n{\"invoice\":\"4\",\"che").unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.note(&begun("5", "chk_5")).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.known("1"), Some(&begun("1", "chk_3")), "the latest counts");
        assert_eq!(journal.known("2"), Some(&begun("2", "chk_2")));
        assert_eq!(journal.known("4"), None);
        assert_eq!(journal.known("5"), Some(&begun("5", "chk_5")));
        assert_eq!(Journal::default().known("1"), None);
    }
}
