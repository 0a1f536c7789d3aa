//! Which invoices of a file the shop could have taken, as the lines it would have been asked for.
use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

use csv::{Reader, StringRecord};

use crate::failure::Failure;

/// Most codes on one order and units of each: the shop's own limits on a cart.
const CODES_MAX: usize = 100;
const UNITS_MAX: i64 = 999;
/// Rows of one file.
const ROWS_MAX: usize = 10_000_000;

/// An order to be placed: units by code, in the codes' order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invoice {
    pub(super) number: String,
    pub(super) lines: BTreeMap<String, i64>,
}

impl Invoice {
    /// In minor units; `None` if a price is missing or the sum out of range.
    pub(super) fn subtotal(&self, prices: &HashMap<String, i64>) -> Option<i64> {
        self.lines.iter().try_fold(0_i64, |sum, (code, units)| sum.checked_add(prices.get(code)?.checked_mul(*units)?))
    }
}

/// An invoice as far as it was read.
#[derive(Default)]
struct Reading {
    lines: BTreeMap<String, i64>,
    /// Nothing that follows can make it an order.
    spoilt: bool,
}

/// The first `limit` invoices that qualify, in the order in which the file first names them. An invoice's rows
/// may stand anywhere, so the file is always read to its end.
pub(super) fn select(file: impl Read, is_loaded: &dyn Fn(&str) -> bool, limit: usize) -> Result<Vec<Invoice>, Failure> {
    let mut reader = Reader::from_reader(file);
    let heading = reader.headers().map_err(unreadable)?.clone();
    let [number, code, quantity] = columns(&heading, ["InvoiceNo", "StockCode", "Quantity"])?;
    let mut order: Vec<String> = Vec::new();
    let mut invoices: HashMap<String, Reading> = HashMap::new();
    let mut record = StringRecord::new();
    let mut rows = 0;
    while reader.read_record(&mut record).map_err(unreadable)? {
        rows += 1;
        if rows > ROWS_MAX {
            return Err(Failure::new(format!("the file has more than {ROWS_MAX} rows")));
        }
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let number = cell(number);
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        if !invoices.contains_key(number) {
            order.push(number.to_owned());
        }
        invoices.entry(number.to_owned()).or_default().add(cell(code), cell(quantity), is_loaded);
    }
    let taken = order.into_iter().filter_map(|number| {
        let lines = invoices.remove(&number)?.finish()?;
        Some(Invoice { number, lines })
    });
    Ok(taken.take(limit).collect())
}

impl Reading {
    fn add(&mut self, code: &str, quantity: &str, is_loaded: &dyn Fn(&str) -> bool) {
        let Some(units) = units(quantity) else {
            self.spoilt = true;
            return;
        };
        // Postage, fees and the like are no goods.
        if !has_five_digits(code) {
            return;
        }
        self.spoilt |= !is_loaded(code);
        let sum = self.lines.entry(code.to_owned()).or_default();
        *sum = sum.saturating_add(units);
        self.spoilt |= *sum > UNITS_MAX;
    }

    fn finish(self) -> Option<BTreeMap<String, i64>> {
        let fits = (1..=CODES_MAX).contains(&self.lines.len());
        (fits && !self.spoilt).then_some(self.lines)
    }
}

fn has_five_digits(code: &str) -> bool {
    code.len() >= 5 && code.bytes().take(5).all(|b| b.is_ascii_digit())
}

/// A whole number above zero, which data frames write as `6.0`.
fn units(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str, allowed: fn(u8) -> bool| !digits.is_empty() && digits.bytes().all(allowed);
    if !plain(whole, |b| b.is_ascii_digit()) || !plain(fraction, |b| b == b'0') {
        return None;
    }
    whole.parse().ok().filter(|units| *units > 0)
}

/// Where the named columns stand.
pub(super) fn columns<const N: usize>(heading: &StringRecord, names: [&str; N]) -> Result<[usize; N], Failure> {
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = heading.iter().position(|it| it.trim().trim_start_matches('\u{feff}').eq_ignore_ascii_case(name));
        *place = found.ok_or_else(|| Failure::new(format!("the heading names no column {name}")))?;
    }
    Ok(places)
}

pub(super) fn unreadable(err: csv::Error) -> Failure {
    Failure::new(format!("the file cannot be read: {err}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rows: &str) -> Vec<String> {
        let text = format!("InvoiceNo,StockCode,Quantity\n{rows}");
        let invoices = select(text.as_bytes(), &|code| code != "99999", usize::MAX).unwrap();
        let line = |(code, units): (&String, &i64)| format!("{code}x{units}");
        let show = |it: &Invoice| format!("{} {}", it.number, it.lines.iter().map(line).collect::<Vec<_>>().join(" "));
        invoices.iter().map(show).collect()
    }

    #[test]
    fn only_whole_orders_of_goods_for_sale_are_taken() {
        assert_eq!(taken("1,10001,2.0\n1,10001,3\n1,POST,1\n"), ["1 10001x5"]);
        assert_eq!(taken("2,10001,1\n1,10001A,1\n2,10002,1\n"), ["2 10001x1 10002x1", "1 10001Ax1"]);
        for none in [
            "C1,10001,1\n",
            "1,10001,1\n1,10002,-1\n",
            "1,10001,1\n1,POST,-1\n",
            "1,10001,0\n",
            "1,10001,1.5\n",
            "1,10001,\n",
            "1,POST,1\n1,1234,5\n",
            "1,10001,1\n1,99999,1\n",
            "1,10001,500\n1,10001,500\n",
            ",10001,1\n",
        ] {
            assert_eq!(taken(none), Vec::<String>::new(), "{none}");
        }
        let many = |count: u32| (0..count).map(|i| format!("1,{},1\n", 20_000 + i)).collect::<String>();
        assert_eq!((taken(&many(100)).len(), taken(&many(101)).len()), (1, 0));
        assert_eq!(taken("1,10001,999\n"), ["1 10001x999"]);
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let refused = select("InvoiceNo,Quantity\n".as_bytes(), &|_| true, 1).unwrap_err();
        assert_eq!(refused.to_string(), "the heading names no column StockCode");
    }
}
