//! `handler import`: loads a price list, or our own seed, into the store that this process is configured for.
//!
//! The same operation as any other import, over the same adapters; this file only reads the command line
//! and writes the report. Exit code 0: the file was read to its end, whatever its rows were; 1: it was not;
//! 2: the command line cannot be understood.
use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser, ValueExt as _};
use offpeak_domain::{money::Currency, stock::Location};
use serde_json::{Value, json};

use crate::shared::{
    documents::settings,
    operations::import_catalogue::{
        ImportError, ImportOptions, ImportReport, import_catalogue, open_store,
        rows::{Format, RefusedRow, format_of},
    },
    ports::{Ports, chain},
};

/// Our own goods and the store that sells them.
const SEED: &str = include_str!("../seed/catalogue.ndjson");
const SEED_STORE: &str = include_str!("../seed/store.json");

const HELP: &str = "\
usage: handler import FILE [OPTIONS]
       handler import --seed

FILE is a price list: CSV with a heading, or NDJSON with one object per line. Columns, in any case and order:
  sku or StockCode            1 to 64 of A-Z a-z 0-9 . _ -
  title, desc or Description  the product's name
  price                       above zero, in major units, e.g. 12.50
  product, variantTitle       rows with one product key, standing together, are variants of one product
  category, description, taxClass, currency, onHand, location   optional
Other columns are ignored and named in the report. Loading a file again changes nothing. Stock is set only for
a SKU that was never counted, or where a location is named, never there.

  --format csv|ndjson     default: by the file's name, or else by its first byte
  --currency C            what prices are in, e.g. GBP; must be the store's, and becomes it if it has none
  --assume-currency C     as --currency, for a store that has none; any other keeps its own
  --on-hand N             units for each SKU that was never counted and whose row does not say
  --location NAME         where units lie whose row does not say; default: main
  --dry-run               read and compare, store nothing
  --json                  the report as one JSON object
  --seed                  our own goods, and the settings of the store that sells them
";

/// What is to be loaded and how.
#[derive(Debug, Default, PartialEq)]
struct Request {
    file: Option<PathBuf>,
    seed: bool,
    format: Option<Format>,
    currency: Option<Currency>,
    assumed: Option<Currency>,
    on_hand: Option<i64>,
    location: Option<Location>,
    dry_run: bool,
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    #[error("{file} cannot be opened")]
    Open { file: String, source: io::Error },
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("the report cannot be written")]
    Report(#[source] io::Error),
}

/// Runs `import` with the arguments after that word. Answers the process's exit code.
pub async fn run(ports: &Ports, args: impl IntoIterator<Item = OsString>, out: &mut impl Write) -> u8 {
    let done = match parse(Parser::from_args(args)) {
        Ok(Some(request)) => import(ports, &request, out).await,
        Ok(None) => out.write_all(HELP.as_bytes()).map_err(CommandError::Report),
        Err(err) => Err(CommandError::Usage(err.to_string())),
    };
    match done {
        Ok(()) => 0,
        Err(err) => {
            eprintln!("import: {}", chain(&err));
            if matches!(err, CommandError::Usage(_)) { 2 } else { 1 }
        }
    }
}

/// `None` if help was asked for.
fn parse(mut args: Parser) -> Result<Option<Request>, lexopt::Error> {
    let mut request = Request::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(file) if request.file.is_none() => request.file = Some(file.into()),
            Arg::Long("seed") => request.seed = true,
            Arg::Long("format") => {
                request.format = Some(args.value()?.parse_with(|text| match text {
                    "csv" => Ok(Format::Csv),
                    "ndjson" => Ok(Format::Ndjson),
                    _ => Err("csv or ndjson"),
                })?);
            }
            Arg::Long("currency") => request.currency = Some(args.value()?.parse_with(Currency::parse)?),
            Arg::Long("assume-currency") => request.assumed = Some(args.value()?.parse_with(Currency::parse)?),
            Arg::Long("on-hand") => request.on_hand = Some(args.value()?.parse_with(on_hand)?),
            Arg::Long("location") => request.location = Some(args.value()?.parse_with(Location::parse)?),
            Arg::Long("dry-run") => request.dry_run = true,
            Arg::Long("json") => request.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if request.file.is_some() == request.seed {
        return Err("name one FILE, or --seed".into());
    }
    Ok(Some(request))
}

fn on_hand(text: &str) -> Result<i64, &'static str> {
    let units: u32 = text.parse().map_err(|_| "a whole number of units")?;
    let units = i64::from(units);
    if units <= offpeak_domain::stock::ON_HAND_MAX { Ok(units) } else { Err("too many units") }
}

async fn import(ports: &Ports, request: &Request, out: &mut impl Write) -> Result<(), CommandError> {
    let mut options = ImportOptions {
        currency: request.currency,
        on_hand: request.on_hand,
        location: request.location.clone(),
        dry_run: request.dry_run,
    };
    let report = match &request.file {
        Some(path) => {
            options.currency = options.currency.or(assumed(ports, request.assumed).await?);
            let opened = |source| CommandError::Open { file: path.display().to_string(), source };
            let mut file = BufReader::new(File::open(path).map_err(opened)?);
            let format = format(request.format, path, &mut file).map_err(opened)?;
            import_catalogue(ports, file, format, &options).await?
        }
        None => seed(ports, options).await?,
    };
    let written = if request.json { writeln!(out, "{}", as_json(&report)) } else { as_text(&report, out) };
    written.and_then(|()| out.flush()).map_err(CommandError::Report)
}

/// The assumed currency, if the store has none.
async fn assumed(ports: &Ports, assumed: Option<Currency>) -> Result<Option<Currency>, CommandError> {
    let Some(currency) = assumed else { return Ok(None) };
    let has_one = settings::read_settings(ports.documents.as_ref()).await.map_err(ImportError::Store)?.is_some();
    Ok((!has_one).then_some(currency))
}

fn format(asked: Option<Format>, path: &Path, file: &mut impl BufRead) -> io::Result<Format> {
    let first = file.fill_buf()?.first().copied();
    Ok(asked.unwrap_or_else(|| format_of(&path.to_string_lossy(), first)))
}

/// A store that is open already keeps its settings; the goods must fit its currency.
async fn seed(ports: &Ports, options: ImportOptions) -> Result<ImportReport, ImportError> {
    let store = settings::parse_settings(SEED_STORE)?;
    let currency = Some(options.currency.unwrap_or(store.currency));
    if !options.dry_run {
        open_store(ports, &store).await?;
    }
    import_catalogue(ports, SEED.as_bytes(), Format::Ndjson, &ImportOptions { currency, ..options }).await
}

fn as_text(report: &ImportReport, out: &mut impl Write) -> io::Result<()> {
    for row in &report.refusals {
        match &row.sku {
            Some(sku) => writeln!(out, "line {}: {sku}: {}", row.line, row.reason)?,
            None => writeln!(out, "line {}: {}", row.line, row.reason)?,
        }
    }
    let unlisted = report.refused.saturating_sub(report.refusals.len() as u64);
    if unlisted > 0 {
        writeln!(out, "and {unlisted} more refused rows")?;
    }
    if !report.ignored.is_empty() {
        writeln!(out, "ignored columns: {}", report.ignored.join(", "))?;
    }
    writeln!(
        out,
        "{}read {} rows: loaded {} ({} created, {} updated, {} unchanged), refused {}",
        if report.dry_run { "dry run, nothing stored: " } else { "" },
        report.read,
        report.loaded(),
        report.created,
        report.updated,
        report.unchanged,
        report.refused
    )
}

fn as_json(report: &ImportReport) -> Value {
    let refusal = |row: &RefusedRow| json!({ "line": row.line, "sku": row.sku, "reason": row.reason.to_string() });
    json!({
        "dryRun": report.dry_run,
        "read": report.read,
        "loaded": report.loaded(),
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "refusals": report.refusals.iter().map(refusal).collect::<Vec<_>>(),
        "ignoredColumns": report.ignored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Option<Request>, lexopt::Error> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_read_or_refused() {
        let pounds = Currency::parse("GBP").ok();
        assert_eq!(
            request("--currency GBP --on-hand 100000 list.csv --json").unwrap().unwrap(),
            Request {
                file: Some("list.csv".into()),
                currency: pounds,
                on_hand: Some(100_000),
                json: true,
                ..Request::default()
            }
        );
        assert_eq!(
            request("--seed --dry-run").unwrap().unwrap(),
            Request { seed: true, dry_run: true, ..Request::default() }
        );
        assert_eq!(request("a --format=ndjson").unwrap().unwrap().format, Some(Format::Ndjson));
        assert!(request("--help").unwrap().is_none());
        for bad in [
            "",
            "a b",
            "a --seed",
            "a --currency pounds",
            "a --on-hand -1",
            "a --on-hand 1.5",
            "a --format xml",
            "a --x",
        ] {
            assert!(request(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_seed_store_is_readable() {
        let store = settings::parse_settings(SEED_STORE).unwrap();
        assert_eq!(store.currency.code(), "GBP");
    }
}
