//! One product, asked for as often as one core can answer: the handler beside servers that do nothing but
//! send the same bytes.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    Effort, Programs, median,
    server::{Handler, Raw, Server, cores, get, ticks_per_second},
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure};

/// Connections that the load tool keeps busy.
const CONNECTIONS: &str = "64";
/// Answer headers that a server adds by itself, or that belong to one connection.
const OWN_HEADERS: &[&str] = &["date", "content-length", "connection", "transfer-encoding"];

/// One round of load: requests answered, and the time that took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Round {
    requests: u64,
    took_ms: u64,
}

impl Round {
    fn per_second(self) -> u64 {
        self.requests * 1000 / self.took_ms.max(1)
    }
}

/// What a server is asked: a path, or what a script of wrk says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) script: Option<&'a Path>,
}

/// What one server did in its rounds: requests per second, and nanoseconds of processor time per request.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) rates: Vec<u64>,
    pub(super) costs_ns: Vec<u64>,
    answered: u64,
}

impl Record {
    /// Another round; a round that only warms is not kept.
    pub(super) fn add(&mut self, server: &Server, asked: Asked<'_>, seconds: u64, kept: bool) -> Result<(), Failure> {
        let before = server.ticks()?;
        let round = run(&server.url(asked.path), asked.script, seconds)?;
        let used = server.ticks()?.saturating_sub(before);
        self.answered += round.requests;
        if kept {
            self.rates.push(round.per_second());
            self.costs_ns.push(used * (1_000_000_000 / ticks_per_second()?.max(1)) / round.requests.max(1));
        }
        Ok(())
    }
}

/// Answers how many requests the handler has answered.
pub(super) fn measure(
    handler: &Handler,
    programs: &Programs,
    place: &Path,
    effort: Effort,
    table: &mut Table,
) -> Result<u64, Failure> {
    let recorded = record(&get(handler.server.port, &handler.product)?, place)?;
    let bare = |program: &Path| {
        Server::start(program, &handler.product, |command, port| {
            command.arg(port.to_string()).arg(&recorded);
        })
    };
    let (hyper, warp) = (bare(&programs.bare_hyper)?, bare(&programs.bare_warp)?);
    let (mut ours, mut by_hyper, mut by_warp) = (Record::default(), Record::default(), Record::default());
    let asked = Asked { path: &handler.product, script: None };
    for round in 0..=effort.rounds {
        let kept = round > 0;
        by_hyper.add(&hyper, asked, effort.round_s, kept)?;
        ours.add(&handler.server, asked, effort.round_s, kept)?;
        by_warp.add(&warp, asked, effort.round_s, kept)?;
    }
    rows(&ours, &by_hyper, &by_warp, table);
    Ok(ours.answered)
}

/// The middle of what one is of the other, round by round.
pub(super) fn pairs(one: &[u64], other: &[u64]) -> u64 {
    median(one.iter().zip(other).map(|(one, other)| one * 1000 / (*other).max(1)).collect())
}

/// Rates are what is promised; on a machine that is busy with something else they swing, and the ratio of
/// processor times says the same with less noise.
fn rows(ours: &Record, by_hyper: &Record, by_warp: &Record, table: &mut Table) {
    let (target, goal, none) = (Wanted::AtLeast(700), Wanted::AtLeast(850), Wanted::Nothing);
    table.promised("get_product: of bare warp's rate", pairs(&ours.rates, &by_warp.rates), Unit::Ratio, target, none);
    table.promised("get_product: of bare hyper's rate", pairs(&ours.rates, &by_hyper.rates), Unit::Ratio, none, goal);
    let by_cost = |other: &Record| pairs(&other.costs_ns, &ours.costs_ns);
    table.shown("get_product: the same by processor time, warp", by_cost(by_warp), Unit::Ratio);
    table.shown("get_product: the same by processor time, hyper", by_cost(by_hyper), Unit::Ratio);
    table.shown("get_product: requests per second on one core", median(ours.rates.clone()), Unit::PerSecond);
    for (what, record) in [("handler", ours), ("bare warp", by_warp), ("bare hyper", by_hyper)] {
        let what = format!("get_product: processor time per request, {what}");
        table.shown(&what, median(record.costs_ns.clone()), Unit::Microseconds);
    }
}

/// Memory, once the handler has answered enough.
pub(super) fn memory(handler: &Handler, answered: u64, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut answered = answered;
    while answered < effort.requests {
        answered += run(&handler.server.url(&handler.product), None, effort.round_s)?.requests.max(1);
    }
    let what = format!("handler: memory after {} requests", effort.requests);
    let resident = handler.server.resident_kib()?;
    table.promised(&what, resident, Unit::Mebibytes, Wanted::AtMost(40 * 1024), Wanted::AtMost(25 * 1024));
    Ok(())
}

/// Keeps the handler's answer for the bare servers: header lines, an empty line, the body.
pub(super) fn record(raw: &Raw, place: &Path) -> Result<PathBuf, Failure> {
    let kept = raw.head.lines().skip(1).filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !OWN_HEADERS.iter().any(|it| name.eq_ignore_ascii_case(it))
    });
    let head: Vec<&str> = kept.collect();
    let path = place.join("answer");
    fs::write(&path, format!("{}\n\n{}", head.join("\n"), raw.body)).map_err(Failure::file("write", &path))?;
    Ok(path)
}

fn run(url: &str, script: Option<&Path>, seconds: u64) -> Result<Round, Failure> {
    let text = wrk(url, script, CONNECTIONS, seconds)?;
    read(&text).ok_or_else(|| Failure::new(format!("wrk did not measure clean answers:\n{text}")))
}

/// Microseconds that 99 of 100 answers take no longer than.
pub(super) fn p99(url: &str, script: &Path, connections: &str, seconds: u64) -> Result<u64, Failure> {
    let text = wrk(url, Some(script), connections, seconds)?;
    let clean = read(&text).and_then(|_| read_p99(&text));
    clean.ok_or_else(|| Failure::new(format!("wrk did not measure clean answers:\n{text}")))
}

fn wrk(url: &str, script: Option<&Path>, connections: &str, seconds: u64) -> Result<String, Failure> {
    let mut wrk = child::command(Path::new("taskset"))?;
    wrk.args(["-c", &cores()?.1, "wrk", "-t1", "-c", connections, "-d", &format!("{seconds}s"), "--latency"]);
    if let Some(script) = script {
        wrk.arg("-s").arg(script);
    }
    let output = wrk.arg(url).stderr(Stdio::inherit()).output().map_err(Failure::file("start", Path::new("wrk")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The line `     99%    2.31ms`, in microseconds.
fn read_p99(text: &str) -> Option<u64> {
    let took = text.lines().find_map(|line| line.trim().strip_prefix("99%"))?.trim();
    let (number, scale) = took
        .strip_suffix("us")
        .map(|it| (it, 1))
        .or_else(|| took.strip_suffix("ms").map(|it| (it, 1_000)))
        .or_else(|| took.strip_suffix('s').map(|it| (it, 1_000_000)))?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let hundredths: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()? * scale + hundredths * scale / 100)
}

/// What wrk prints: `  123456 requests in 3.01s, 45.67MB read`. Answers other than 2xx, and broken
/// connections, make a round worthless.
fn read(text: &str) -> Option<Round> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let (requests, rest) = text.lines().find_map(|line| line.trim().split_once(" requests in "))?;
    let took = rest.split(',').next()?;
    let (number, scale) = took.strip_suffix("ms").map(|it| (it, 1)).or_else(|| {
        let seconds = took.strip_suffix('s').map(|it| (it, 1000));
        seconds.or_else(|| took.strip_suffix('m').map(|it| (it, 60_000)))
    })?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let hundredths: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    let took_ms = whole.parse::<u64>().ok()? * scale + hundredths * scale / 100;
    Some(Round { requests: requests.parse().ok()?, took_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 3s test\n  1 threads and 64 connections\n  137280 requests in 3.05s, 60.61MB read\nRequests/sec:  45013.19\n";
        let round = read(text).unwrap();
        assert_eq!(round, Round { requests: 137_280, took_ms: 3050 });
        assert_eq!(round.per_second(), 45_009);
        assert_eq!(read("  10 requests in 1.00m, 1MB read").unwrap().took_ms, 60_000);
        assert!(read(&format!("{text}  Non-2xx or 3xx responses: 3\n")).is_none());
        assert!(read(&format!("{text}  Socket errors: connect 0, read 1, write 0, timeout 0\n")).is_none());
        assert!(read("unable to connect").is_none());
    }

    #[test]
    fn the_slowest_hundredth_is_read() {
        let text = "  Latency Distribution\n     50%    1.05ms\n     99%    2.31ms\n  9 requests in 1.00s, 1MB read\n";
        assert_eq!(read_p99(text), Some(2_310));
        assert_eq!(read_p99("     99%  830.00us"), Some(830));
        assert_eq!(read_p99("     99%    1.50s"), Some(1_500_000));
        assert_eq!(read_p99("nothing"), None);
    }

    #[test]
    fn an_answer_is_recorded_without_what_servers_add() {
        let place = tempfile::tempdir().unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nDate: now\r\nContent-Length: 2\r\netag: \"1\"";
        let path = record(&Raw { head: head.to_owned(), body: "{}".to_owned() }, place.path()).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "content-type: application/json\netag: \"1\"\n\n{}");
    }
}
