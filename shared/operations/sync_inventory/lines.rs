//! Rows of an inventory feed, from bytes as they arrive: one line is kept at a time, and a row that cannot be
//! read is an answer of its own, never the end of the feed.
use offpeak_domain::{
    sku::Sku,
    stock::{Location, ON_HAND_MAX},
};
use serde::Deserialize;

use crate::shared::ports::inventory::FeedFormat;

/// Bytes of one line.
const LINE_MAX: usize = 16 * 1024;

/// What a feed says of one shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedRow {
    pub(super) line: u64,
    pub(super) sku: Sku,
    pub(super) location: Location,
    pub(super) on_hand: i64,
}

pub(super) type Row = Result<FeedRow, (u64, String)>;

/// Takes bytes, gives rows.
pub(super) struct Lines {
    format: FeedFormat,
    /// Columns of SKU, location and units, once the heading is read.
    columns: Option<Columns>,
    begun: Vec<u8>,
    /// The line is too long: it is skipped to its end.
    skips: bool,
    line: u64,
}

#[derive(Clone, Copy)]
struct Columns {
    sku: usize,
    location: Option<usize>,
    on_hand: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NdjsonRow {
    sku: String,
    location: Option<String>,
    on_hand: i64,
}

/// The heading names no SKU or no number of units: nothing of the feed can be understood.
#[derive(Debug, thiserror::Error)]
#[error("the heading needs the columns sku and onHand, and may have location")]
pub struct NoColumns;

impl Lines {
    pub(super) fn new(format: FeedFormat) -> Lines {
        Lines { format, columns: None, begun: Vec::new(), skips: false, line: 0 }
    }

    /// The rows whose last byte has come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Row>, NoColumns> {
        let mut rows = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.begun.len() + piece.len() > LINE_MAX {
                self.skips = true;
                self.begun.clear();
            }
            if !self.skips {
                self.begun.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                rows.extend(self.end_of_line()?);
            }
        }
        Ok(rows)
    }

    /// The last line may lack its end.
    pub(super) fn finish(&mut self) -> Result<Option<Row>, NoColumns> {
        if self.begun.is_empty() && !self.skips { Ok(None) } else { self.end_of_line() }
    }

    fn end_of_line(&mut self) -> Result<Option<Row>, NoColumns> {
        self.line += 1;
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.skips) {
            return Ok(Some(Err((self.line, format!("the line is longer than {LINE_MAX} bytes")))));
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            return Ok(Some(Err((self.line, "the line is not UTF-8 text".to_owned()))));
        };
        let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text }.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let number = self.line;
        let row = match (self.format, self.columns) {
            (FeedFormat::Ndjson, _) => ndjson(text),
            (FeedFormat::Csv, Some(columns)) => csv_row(text, columns),
            (FeedFormat::Csv, None) => {
                self.columns = Some(columns(text).ok_or(NoColumns)?);
                return Ok(None);
            }
        };
        let row = row.and_then(|(sku, location, on_hand)| checked(number, &sku, location.as_deref(), on_hand));
        Ok(Some(row.map_err(|reason| (number, reason))))
    }
}

type Cells = (String, Option<String>, i64);

fn checked(line: u64, sku: &str, location: Option<&str>, on_hand: i64) -> Result<FeedRow, String> {
    let sku = Sku::parse(sku).map_err(|err| err.to_string())?;
    let location = location.map_or_else(|| Ok(Location::main()), Location::parse).map_err(|err| err.to_string())?;
    if !(0..=ON_HAND_MAX).contains(&on_hand) {
        return Err(format!("onHand is a whole number from 0 to {ON_HAND_MAX}"));
    }
    Ok(FeedRow { line, sku, location, on_hand })
}

fn ndjson(text: &str) -> Result<Cells, String> {
    let row: NdjsonRow = serde_json::from_str(text).map_err(|err| err.to_string())?;
    Ok((row.sku, row.location, row.on_hand))
}

fn cells(text: &str) -> Option<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).ok().filter(|read| *read).map(|_| record)
}

fn columns(text: &str) -> Option<Columns> {
    let names: Vec<String> =
        cells(text)?.iter().map(|it| it.trim().to_ascii_lowercase().replace(['_', ' '], "")).collect();
    let at = |known: &[&str]| names.iter().position(|it| known.contains(&it.as_str()));
    Some(Columns { sku: at(&["sku"])?, location: at(&["location"]), on_hand: at(&["onhand", "quantity"])? })
}

fn csv_row(text: &str, columns: Columns) -> Result<Cells, String> {
    let cells = cells(text).ok_or("the line is not CSV")?;
    let cell = |at: usize| cells.get(at).map(str::trim).filter(|it| !it.is_empty());
    let sku = cell(columns.sku).ok_or("the SKU is missing")?;
    let on_hand = cell(columns.on_hand).ok_or("the number of units is missing")?;
    let on_hand = on_hand.parse().map_err(|_| format!("`{on_hand}` is no whole number"))?;
    Ok((sku.to_owned(), columns.location.and_then(cell).map(str::to_owned), on_hand))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: &str =
        "\u{feff}SKU,name,On Hand,location\r\nJUG,\"a, b\",7,\r\n\r\nCUP,x,seven,main\nPAN,y,1\nLID,z,3,far";

    fn read(format: FeedFormat, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(format);
        let mut rows = Vec::new();
        for piece in pieces {
            rows.extend(lines.push(piece).unwrap());
        }
        rows.extend(lines.finish().unwrap());
        let text = |row: Row| match row {
            Ok(it) => format!("{} {} {} {}", it.line, it.sku, it.location, it.on_hand),
            Err((line, reason)) => format!("{line} {reason}"),
        };
        rows.into_iter().map(text).collect()
    }

    #[test]
    fn each_line_is_a_row_or_says_what_is_wrong_with_it() {
        let rows = read(FeedFormat::Csv, &[CSV.as_bytes()]);
        assert_eq!(rows, ["2 JUG main 7", "4 `seven` is no whole number", "5 PAN main 1", "6 LID far 3"]);
        let json = "{\"sku\":\"JUG\",\"onHand\":7,\"more\":1}\n{\"sku\":\"J U G\",\"onHand\":7}\n{\n{\"sku\":\"CUP\",\"location\":\"far\",\"onHand\":-1}\n";
        let rows = read(FeedFormat::Ndjson, &[json.as_bytes()]);
        assert_eq!(rows[0], "1 JUG main 7");
        assert!(
            rows[1].starts_with("2 a SKU is") && rows[2].starts_with("3 EOF") && rows[3].starts_with("4 onHand is")
        );
        Lines::new(FeedFormat::Csv).push(b"a,b\n").unwrap_err();
        let long = "x".repeat(LINE_MAX + 9);
        assert_eq!(read(FeedFormat::Ndjson, &[long.as_bytes(), b"\n{\"sku\":\"A\",\"onHand\":1}"])[1], "2 A main 1");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(cuts in proptest::collection::vec(0..CSV.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([CSV.len()]) {
                pieces.push(&CSV.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(read(FeedFormat::Csv, &pieces), read(FeedFormat::Csv, &[CSV.as_bytes()]));
        }
    }
}
