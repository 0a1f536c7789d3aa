//! CSV with a heading: RFC 4180 as spreadsheets write it, fields in quotes may hold commas and line ends.
use std::{
    collections::BTreeSet,
    io::{self, BufRead, Read, Take},
};

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};

use super::rows::{FILE_MAX_BYTES, Field, FileError, RefusedRow, Row, RowRefusal, RowText, columns};

pub struct CsvRows<R> {
    reader: Reader<PlainLines<Take<R>>>,
    columns: Vec<Option<Field>>,
    ignored: BTreeSet<String>,
    record: ByteRecord,
}

impl<R: BufRead> CsvRows<R> {
    /// # Errors
    /// [`FileError`], also for a heading without SKU, title or price.
    pub(super) fn open(file: R) -> Result<CsvRows<R>, FileError> {
        let file = PlainLines { file: file.take(FILE_MAX_BYTES), last: b'\n' };
        let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(file);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(broken)?;
        let heading = StringRecord::from_byte_record(record.clone()).map_err(|_| FileError::Heading)?;
        let mut ignored = BTreeSet::new();
        let columns = columns(heading.iter(), &mut ignored)?;
        for (field, name) in [(Field::Sku, "the SKU"), (Field::Title, "the title"), (Field::Price, "the price")] {
            if !columns.contains(&Some(field)) {
                return Err(FileError::NoColumn(name));
            }
        }
        Ok(CsvRows { reader, columns, ignored, record })
    }

    pub(super) fn ignored(&self) -> &BTreeSet<String> {
        &self.ignored
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        if !self.reader.read_byte_record(&mut self.record).map_err(broken)? {
            return Ok(None);
        }
        // The reader stands behind the record's last line end.
        let inner: u64 = self.record.as_slice().iter().map(|byte| u64::from(*byte == b'\n')).sum();
        let line = self.reader.position().line().saturating_sub(1 + inner);
        let mut row = RowText::new(line);
        let mut readable = true;
        for (field, cell) in self.columns.iter().zip(&self.record) {
            match (field, std::str::from_utf8(cell)) {
                (Some(field), Ok(text)) => row.set(*field, text),
                (Some(_), Err(_)) => readable = false,
                (None, _) => {}
            }
        }
        let reason = if !readable {
            RowRefusal::NotText
        } else if self.record.len() > self.columns.len() {
            RowRefusal::MoreCellsThanHeading
        } else {
            return Ok(Some(Row::Text(row)));
        };
        let sku = row.get(Field::Sku).map(str::to_owned);
        Ok(Some(Row::Refused(RefusedRow { line, sku, reason })))
    }
}

/// The file with every line end as one `\n`, the last one included: the CSV reader counts lines right only then.
struct PlainLines<R> {
    file: R,
    last: u8,
}

impl<R: BufRead> Read for PlainLines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && !into.is_empty() {
            let chunk = self.file.fill_buf()?;
            if chunk.is_empty() {
                if self.last == b'\n' || self.last == b'\r' {
                    return Ok(0);
                }
                self.last = b'\n';
                into[0] = b'\n';
                return Ok(1);
            }
            let used = chunk.len().min(into.len());
            for byte in &chunk[..used] {
                let second_half = *byte == b'\n' && self.last == b'\r';
                self.last = *byte;
                if !second_half {
                    into[written] = if *byte == b'\r' { b'\n' } else { *byte };
                    written += 1;
                }
            }
            self.file.consume(used);
        }
        Ok(written)
    }
}

fn broken(err: csv::Error) -> FileError {
    FileError::Io(err.into())
}

#[cfg(test)]
mod tests {
    use super::super::rows::{FileError, Format, tests::read};

    #[test]
    fn rows_keep_their_lines_and_cells() {
        let text = b"\xef\xbb\xbfsku,title,price,description,colour\r\n\
            a1,\"Cup, small\",1.50,\"Two\nlines\",red\r\n\
            \r\n\
            a2, Plate ,2\n\
            a3,Bowl,3,,,,\n\
            a4,\xff,4\n\
            a5,\"5\"\" nail\",0.05";
        let want = [
            "2 a1|Cup, small|1.50|Two\nlines",
            "5 a2|Plate|2|-",
            "6! the row has more cells than the heading",
            "7! the row is not UTF-8 text",
            "8 a5|5\" nail|0.05|-",
        ];
        assert_eq!(read(Format::Csv, text).unwrap(), want);
    }

    #[test]
    fn a_heading_must_name_what_a_product_needs() {
        assert!(matches!(read(Format::Csv, b"sku,price\n"), Err(FileError::NoColumn("the title"))));
        assert!(matches!(read(Format::Csv, b""), Err(FileError::NoColumn("the SKU"))));
        assert!(matches!(read(Format::Csv, b"sku,title,price,\xff\n"), Err(FileError::Heading)));
        assert_eq!(read(Format::Csv, b"sku,title,price\n").unwrap(), Vec::<String>::new());
    }
}
