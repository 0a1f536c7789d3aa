//! Rows of a catalogue file as text, from CSV or NDJSON, one at a time: a file of any length is read in
//! constant memory, and a row that cannot be read is an answer of its own, never the end of the file.
use std::{collections::BTreeSet, io};

use offpeak_domain::{
    catalogue::{ProductError, VARIANTS_MAX, id::BadSourceKey, price::PriceError, text::TextError},
    money::Currency,
    sku::BadSku,
    stock::ON_HAND_MAX,
};

use super::{csv_rows::CsvRows, ndjson_rows::NdjsonRows};

/// Rows of one file.
pub const ROWS_MAX: u64 = 500_000;
/// Bytes of one file.
pub const FILE_MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Names of columns that were not understood, kept for the report.
const IGNORED_MAX: usize = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
}

/// What a column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Sku,
    Title,
    Price,
    Product,
    VariantTitle,
    Category,
    Description,
    OnHand,
    TaxClass,
    Currency,
    Location,
}

const FIELDS: usize = 11;

/// One row: its line in the file (from 1) and the text of each known column; white space around it is gone
/// and an empty cell is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowText {
    pub line: u64,
    cells: [Option<String>; FIELDS],
}

impl RowText {
    pub(super) fn new(line: u64) -> RowText {
        RowText { line, ..RowText::default() }
    }

    pub(super) fn set(&mut self, field: Field, text: &str) {
        let text = text.trim();
        self.cells[field as usize] = (!text.is_empty()).then(|| text.to_owned());
    }

    pub fn get(&self, field: Field) -> Option<&str> {
        self.cells[field as usize].as_deref()
    }
}

/// A row that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    pub line: u64,
    /// As it stands in the file, if that could be read.
    pub sku: Option<String>,
    pub reason: RowRefusal,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowRefusal {
    #[error("the row is not UTF-8 text")]
    NotText,
    #[error("the row has more cells than the heading")]
    MoreCellsThanHeading,
    #[error("the line is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the line is not a JSON object: {0}")]
    NotAnObject(String),
    #[error("{0} must be text or a number")]
    NotACell(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error(transparent)]
    Sku(#[from] BadSku),
    #[error(transparent)]
    Product(#[from] BadSourceKey),
    #[error(transparent)]
    Price(#[from] PriceError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("onHand `{0}` is not a whole number from 0 to {ON_HAND_MAX}")]
    OnHand(String),
    #[error("the store has no location `{0}`")]
    Location(String),
    #[error("currency `{found}` is not the import's {wanted}")]
    OtherCurrency { found: String, wanted: Currency },
    #[error("the SKU stands in line {line} already")]
    SkuTwice { line: u64 },
    #[error("rows of one product must stand together")]
    ProductApart,
    #[error("{field} differs from the product's first row, line {line}")]
    Differs { field: &'static str, line: u64 },
    #[error("a product has at most {VARIANTS_MAX} variants")]
    TooManyVariants,
    #[error("the SKU belongs to product {0}")]
    SkuTaken(String),
    #[error(transparent)]
    Together(#[from] ProductError),
}

/// Why a file cannot be read (on).
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error("the heading names no column for {0}")]
    NoColumn(&'static str),
    #[error("the heading names {0} twice")]
    ColumnTwice(String),
    #[error("the heading is not UTF-8 text")]
    Heading,
    #[error("the file has more than {ROWS_MAX} rows")]
    TooManyRows,
}

/// A row, or why there is none.
pub enum Row {
    Text(RowText),
    Refused(RefusedRow),
}

/// The rows of a file, in its order.
pub enum Rows<R> {
    Csv(CsvRows<R>),
    Ndjson(NdjsonRows<R>),
}

impl<R: io::BufRead> Rows<R> {
    /// Reads the heading of a CSV file; an NDJSON file has none.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(file: R, format: Format) -> Result<Rows<R>, FileError> {
        match format {
            Format::Csv => CsvRows::open(file).map(Rows::Csv),
            Format::Ndjson => Ok(Rows::Ndjson(NdjsonRows::new(file))),
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`FileError`]: nothing more can be read.
    pub fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        match self {
            Rows::Csv(rows) => rows.next_row(),
            Rows::Ndjson(rows) => rows.next_row(),
        }
    }

    /// Columns that were not understood so far.
    pub fn ignored(&self) -> &BTreeSet<String> {
        match self {
            Rows::Csv(rows) => rows.ignored(),
            Rows::Ndjson(rows) => rows.ignored(),
        }
    }
}

/// The format that the name or else the first byte tells: an object starts NDJSON, all else is CSV.
pub fn format_of(name: &str, first: Option<u8>) -> Format {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match (ending.as_deref(), first) {
        (Some("ndjson" | "jsonl"), _) => Format::Ndjson,
        (Some("csv"), _) => Format::Csv,
        (_, Some(b'{')) => Format::Ndjson,
        _ => Format::Csv,
    }
}

/// What each column means; `None` for one that is ignored. Case does not matter. `title` goes before `desc`
/// goes before `description` as the title; a `description` that is not the title is the description.
///
/// # Errors
/// `ColumnTwice` if two columns mean the same.
pub(super) fn columns<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    ignored: &mut BTreeSet<String>,
) -> Result<Vec<Option<Field>>, FileError> {
    let plain = |name: &str| name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase();
    let is_there = |wanted: &str| names.clone().any(|it| plain(it) == wanted);
    let title = ["title", "desc", "description"].into_iter().find(|it| is_there(it)).unwrap_or("title");
    let mut taken = [false; FIELDS];
    let mut columns = Vec::new();
    for name in names.clone() {
        let field = match plain(name).as_str() {
            name if name == title => Some(Field::Title),
            "sku" | "stockcode" => Some(Field::Sku),
            "price" => Some(Field::Price),
            "product" => Some(Field::Product),
            "varianttitle" => Some(Field::VariantTitle),
            "category" => Some(Field::Category),
            "description" => Some(Field::Description),
            "onhand" => Some(Field::OnHand),
            "taxclass" => Some(Field::TaxClass),
            "currency" => Some(Field::Currency),
            "location" => Some(Field::Location),
            _ => None,
        };
        match field {
            Some(field) if std::mem::replace(&mut taken[field as usize], true) => {
                return Err(FileError::ColumnTwice(name.trim().to_owned()));
            }
            Some(_) => {}
            None if ignored.len() < IGNORED_MAX => {
                ignored.insert(name.trim().chars().take(80).collect());
            }
            None => {}
        }
        columns.push(field);
    }
    Ok(columns)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every row as `line sku|title|description` or `line! reason`.
    pub(in super::super) fn read(format: Format, text: &[u8]) -> Result<Vec<String>, FileError> {
        let mut rows = Rows::open(text, format)?;
        let mut read = Vec::new();
        while let Some(row) = rows.next_row()? {
            read.push(match row {
                Row::Text(row) => {
                    let cell = |field| row.get(field).unwrap_or("-").to_owned();
                    let cells = [Field::Sku, Field::Title, Field::Price, Field::Description].map(cell);
                    format!("{} {}", row.line, cells.join("|"))
                }
                Row::Refused(row) => format!("{}! {}", row.line, row.reason),
            });
        }
        Ok(read)
    }

    #[test]
    fn columns_are_known_by_several_names() {
        let check = |heading: &str, want: &[Option<Field>]| {
            assert_eq!(columns(heading.split(','), &mut BTreeSet::new()).unwrap(), want, "{heading}");
        };
        use Field::{Description, Price, Sku, Title};
        check("StockCode,desc,price,orders", &[Some(Sku), Some(Title), Some(Price), None]);
        check("StockCode,Description,Price", &[Some(Sku), Some(Title), Some(Price)]);
        check("\u{feff}sku, Title ,description", &[Some(Sku), Some(Title), Some(Description)]);
        check("desc,description", &[Some(Title), Some(Description)]);
        assert!(matches!(columns("sku,StockCode".split(','), &mut BTreeSet::new()), Err(FileError::ColumnTwice(_))));
    }

    #[test]
    fn the_format_is_told_by_the_name_or_the_first_byte() {
        assert_eq!(format_of("a.CSV", Some(b'{')), Format::Csv);
        assert_eq!(format_of("a.jsonl", None), Format::Ndjson);
        assert_eq!(format_of("a.txt", Some(b'{')), Format::Ndjson);
        assert_eq!(format_of("a", Some(b's')), Format::Csv);
    }
}
