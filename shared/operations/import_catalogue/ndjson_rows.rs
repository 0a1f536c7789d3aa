//! NDJSON: one object per line, its members named like the columns of a CSV file. A number is taken by the
//! digits it is written with, so no price passes through a float's rounding.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, Take},
};

use serde_json::value::RawValue;

use super::rows::{FILE_MAX_BYTES, Field, FileError, RefusedRow, Row, RowRefusal, RowText, columns};

/// Bytes of one line.
const LINE_MAX_BYTES: usize = 64 * 1024;

pub struct NdjsonRows<R> {
    file: Take<R>,
    line: u64,
    ignored: BTreeSet<String>,
    bytes: Vec<u8>,
}

impl<R: BufRead> NdjsonRows<R> {
    pub(super) fn new(file: R) -> NdjsonRows<R> {
        NdjsonRows { file: file.take(FILE_MAX_BYTES), line: 0, ignored: BTreeSet::new(), bytes: Vec::new() }
    }

    pub(super) fn ignored(&self) -> &BTreeSet<String> {
        &self.ignored
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        loop {
            let Some(fits) = self.read_line()? else { return Ok(None) };
            let refused = |reason| Ok(Some(Row::Refused(RefusedRow { line: self.line, sku: None, reason })));
            if !fits {
                return refused(RowRefusal::TooLong { max: LINE_MAX_BYTES });
            }
            let text = match std::str::from_utf8(&self.bytes) {
                Ok(text) => text.trim_start_matches('\u{feff}').trim(),
                Err(_) => return refused(RowRefusal::NotText),
            };
            if text.is_empty() {
                continue;
            }
            return match serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text) {
                Ok(members) => row(self.line, &members, &mut self.ignored).map(Some),
                Err(err) => refused(RowRefusal::NotAnObject(err.to_string())),
            };
        }
    }

    /// The next line into `bytes`: whether it fits, `None` at the end. What does not fit is skipped.
    fn read_line(&mut self) -> Result<Option<bool>, FileError> {
        self.bytes.clear();
        self.line += 1;
        let mut fits = true;
        loop {
            let chunk = self.file.fill_buf()?;
            if chunk.is_empty() {
                return Ok((!self.bytes.is_empty() || !fits).then_some(fits));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let piece = &chunk[..end.unwrap_or(chunk.len())];
            fits &= self.bytes.len() + piece.len() <= LINE_MAX_BYTES;
            if fits {
                self.bytes.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.file.consume(used);
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }
}

fn row(line: u64, members: &BTreeMap<String, Box<RawValue>>, ignored: &mut BTreeSet<String>) -> Result<Row, FileError> {
    let mut row = RowText::new(line);
    let mut wrong = None;
    let fields = match columns(members.keys().map(String::as_str), ignored) {
        Ok(fields) => fields,
        Err(err) => {
            let reason = RowRefusal::NotAnObject(err.to_string());
            return Ok(Row::Refused(RefusedRow { line, sku: None, reason }));
        }
    };
    for (field, (name, value)) in fields.into_iter().zip(members) {
        let Some(field) = field else { continue };
        match cell(value.get()) {
            Some(text) => row.set(field, &text),
            None => wrong = Some(RowRefusal::NotACell(name.clone())),
        }
    }
    Ok(match wrong {
        None => Row::Text(row),
        Some(reason) => Row::Refused(RefusedRow { line, sku: row.get(Field::Sku).map(str::to_owned), reason }),
    })
}

/// The text of a string, the digits of a number, nothing for null; `None` for anything else.
fn cell(json: &str) -> Option<Cow<'_, str>> {
    match json.bytes().next() {
        Some(b'"') => serde_json::from_str(json).ok().map(Cow::Owned),
        Some(b'0'..=b'9' | b'-') => Some(Cow::Borrowed(json)),
        Some(b'n') => Some(Cow::Borrowed("")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Format, tests::read};

    #[test]
    fn lines_are_rows_and_bad_ones_stand_alone() {
        let long = format!("{{\"sku\":\"{}\"}}", "x".repeat(70_000));
        let text = format!(
            "{{\"sku\":\"a1\",\"title\":\"Cup\",\"price\":1.50}}\n\n\
            {{\"StockCode\":7,\"desc\":\"Plate\",\"price\":19.989999999999998,\"description\":null}}\r\n\
            [1]\n{{\"sku\":\n{long}\n{{\"sku\":[\"a\"]}}\n{{\"sku\":\"a\",\"SKU\":\"b\"}}\n{{\"sku\":\"last\"}}"
        );
        let rows = read(Format::Ndjson, text.as_bytes()).unwrap();
        assert_eq!(rows[0], "1 a1|Cup|1.50|-");
        assert_eq!(rows[1], "3 7|Plate|19.989999999999998|-");
        assert!(rows[2].starts_with("4! the line is not a JSON object"), "{}", rows[2]);
        assert!(rows[3].starts_with("5! the line is not a JSON object"), "{}", rows[3]);
        assert_eq!(rows[4], "6! the line is longer than 65536 bytes");
        assert_eq!(rows[5], "7! sku must be text or a number");
        assert!(rows[6].starts_with("8! the line is not a JSON object: the heading names"), "{}", rows[6]);
        assert_eq!(rows[7], "9 last|-|-|-");
        assert_eq!(rows.len(), 8);
    }
}
