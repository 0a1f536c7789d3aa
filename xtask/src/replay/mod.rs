//! `replay`: real invoices as orders. Every invoice that the shop could have taken is placed over HTTP, and
//! each total is checked against the sum that the files give.
mod buyer;
mod invoices;
mod journal;
mod prices;

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use lexopt::{Arg, Parser, ValueExt};

use self::{
    buyer::Buyer,
    invoices::{Invoice, select},
    journal::Journal,
};
use crate::failure::Failure;

/// Buyers at the same time.
const BUYERS: usize = 8;
/// Failures that are told; all are counted.
const TOLD_MAX: usize = 20;

const HELP: &str = "\
usage: cargo xtask replay [OPTIONS] FILE

FILE is CSV, as it is or compressed by xz, with the columns InvoiceNo, StockCode and Quantity. Taken, in the file's
order, are invoices with a numeric number, only positive quantities, every code of five leading digits for sale, at
most 100 codes and 999 of each. Lines with one code are summed; codes without five leading digits are left out.

  --invoices N        how many are taken, default all
  --url URL           the running shop, default http://127.0.0.1:7071
  --catalogue FILE    prices to check against, from the price list that was imported; default: the shop's own
  --journal FILE      remember the checkouts there: with the same file, the same shop is asked for the same orders
  --dry-run           take and sum, order nothing; needs --catalogue
  --currency C        of the price list, default GBP
";

#[derive(Debug, PartialEq)]
struct Options {
    file: PathBuf,
    invoices: usize,
    url: String,
    catalogue: Option<PathBuf>,
    journal: Option<PathBuf>,
    dry_run: bool,
    currency: String,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let mut options = Options {
            file: PathBuf::new(),
            invoices: usize::MAX,
            url: "http://127.0.0.1:7071".to_owned(),
            catalogue: None,
            journal: None,
            dry_run: false,
            currency: "GBP".to_owned(),
        };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Value(file) if options.file.as_os_str().is_empty() => options.file = file.into(),
                Arg::Long("invoices") => options.invoices = args.value()?.parse()?,
                Arg::Long("url") => options.url = args.value()?.string()?.trim_end_matches('/').to_owned(),
                Arg::Long("catalogue") => options.catalogue = Some(args.value()?.into()),
                Arg::Long("journal") => options.journal = Some(args.value()?.into()),
                Arg::Long("dry-run") => options.dry_run = true,
                Arg::Long("currency") => options.currency = args.value()?.string()?,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.file.as_os_str().is_empty() {
            return Err(Failure::usage(format!("name the file with the invoices\n\n{HELP}")));
        }
        if options.dry_run && options.catalogue.is_none() {
            return Err(Failure::usage("--dry-run needs --catalogue"));
        }
        Ok(Some(options))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let listed = match &options.catalogue {
        Some(path) => Some(prices::from_list(open(path)?, &options.currency)?),
        None => None,
    };
    let sold = if options.dry_run { None } else { Some(buyer::prices(&options.url)?) };
    let prices = prices::agreed(listed, sold)?;
    let invoices = select(open(&options.file)?, &|code| prices.contains_key(code), options.invoices)?;
    let wanted = Sums::of(&invoices, &prices)?;
    println!("taken: {wanted}");
    if options.dry_run {
        return Ok(());
    }
    let journal = options.journal.as_deref().map(Journal::open).transpose()?.unwrap_or_default();
    let placed = place(&options.url, &invoices, &prices, &journal)?;
    println!("placed: {placed}");
    if placed == wanted { Ok(()) } else { Err(Failure::new("what was placed is not what was taken")) }
}

/// What a number of invoices, or their orders, come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    orders: usize,
    lines: usize,
    /// Minor units.
    subtotal: i64,
}

impl Sums {
    fn of(invoices: &[Invoice], prices: &HashMap<String, i64>) -> Result<Sums, Failure> {
        let mut sums = Sums::default();
        for invoice in invoices {
            sums.add(invoice, invoice.subtotal(prices).ok_or_else(|| Failure::new("the sum is out of range"))?);
        }
        Ok(sums)
    }

    fn add(&mut self, invoice: &Invoice, subtotal: i64) {
        self.orders += 1;
        self.lines += invoice.lines.len();
        self.subtotal += subtotal;
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} orders, {} lines, subtotals of {} minor units", self.orders, self.lines, self.subtotal)
    }
}

/// Places every invoice as an order, several at once.
fn place(url: &str, invoices: &[Invoice], prices: &HashMap<String, i64>, journal: &Journal) -> Result<Sums, Failure> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new((Sums::default(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..BUYERS {
            scope.spawn(|| {
                let buyer = Buyer::new(url);
                while let Some(invoice) = invoices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let placed = buyer.place(invoice, prices, journal);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    match placed {
                        Ok(subtotal) => done.0.add(invoice, subtotal),
                        Err(failure) => done.1.push(format!("invoice {}: {failure}", invoice.number)),
                    }
                }
            });
        }
    });
    let (sums, failures) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failure in failures.iter().take(TOLD_MAX) {
        eprintln!("{failure}");
    }
    if failures.is_empty() { Ok(sums) } else { Err(Failure::new(format!("{} orders failed", failures.len()))) }
}

/// The file's text, decompressed if its name says so.
fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    let file = BufReader::new(File::open(path).map_err(Failure::file("open", path))?);
    let packed = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("xz"));
    Ok(if packed { Box::new(liblzma::bufread::XzDecoder::new(file)) } else { Box::new(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |line: &str| Options::parse(Parser::from_args(line.split_whitespace()));
        let options = parse("--invoices 5 --url http://localhost:1/ f.csv.xz").unwrap().unwrap();
        assert_eq!((options.invoices, options.url.as_str()), (5, "http://localhost:1"));
        assert!(parse("--help").unwrap().is_none());
        for bad in ["", "a b", "a --dry-run", "a --invoices many"] {
            assert_eq!(parse(bad).unwrap_err().code(), 2, "{bad}");
        }
    }

    /// Two files of our own in the form of the real ones.
    #[test]
    fn a_fixture_is_taken_and_summed() {
        let fixtures = crate::workspace::root().join("tests/it/fixtures");
        let prices = prices::from_list(open(&fixtures.join("pricelist.csv")).unwrap(), "GBP").unwrap();
        let invoices = open(&fixtures.join("invoices.csv")).unwrap();
        let taken = select(invoices, &|code| prices.contains_key(code), usize::MAX).unwrap();
        let numbers: Vec<_> = taken.iter().map(|it| it.number.as_str()).collect();
        assert_eq!(numbers, ["900001", "900002", "900008"]);
        // 6 boards, 10 egg cups; 2 green cups of each kind, a tin and an egg cup; 999 bells.
        let sums = Sums::of(&taken, &prices).unwrap();
        assert_eq!(sums, Sums { orders: 3, lines: 7, subtotal: 7770 + 1250 + 500 + 499 + 125 + 999 * 750 });
        let first = Sums::of(&taken[..1], &prices).unwrap();
        assert_eq!((first.orders, first.lines, first.subtotal), (1, 2, 7770 + 1250));
    }
}
