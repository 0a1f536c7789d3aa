//! Recommendations: asking a model, building one of a million sessions, and answering from its file at the start.
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use serde_json::Value;

use super::{
    Effort, median,
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure};

/// As many sessions and items as bol's month of clicks has.
pub(super) const SMALL: (usize, usize) = (24_000, 18_000);
pub(super) const LARGE_ITEMS: &str = "250000";
/// An item of the synthetic shops that sessions know.
const ITEM: &str = "item-000017";

/// Files of real clicks, to learn from and to ask about.
#[derive(Debug, Default)]
pub(super) struct Clicks {
    pub(super) train: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

pub(super) fn measure(program: &Path, clicks: &Clicks, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let place = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the model")))?;
    let place = place.path();
    let (sessions, items) = (SMALL.0.to_string(), SMALL.1.to_string());
    let said = speed(program, place, &["--sessions", &sessions, "--items", &items])?;
    queries("24 k sessions", [0; 3], &said, table);
    if let (Some(train), Some(test)) = (&clicks.train, &clicks.test) {
        let (train, test) = (train.to_string_lossy(), test.to_string_lossy());
        let said = speed(program, place, &["--train", &train, "--test", &test])?;
        queries("real clicks", [10, 20, 100], &said, table);
    }
    let sessions = effort.sessions.to_string();
    let said = speed(program, place, &["--sessions", &sessions, "--items", LARGE_ITEMS])?;
    let what = format!("{} k sessions", effort.sessions / 1000);
    queries(&what, [0, 150, 0], &said, table);
    let figure = |name: &str| said[name].as_u64().unwrap_or(0);
    let (build, peak) = (figure("buildMs") * 1000, figure("peakKib"));
    let none = Wanted::Nothing;
    let row = |part: &str| format!("recommendations, {what}: {part}");
    table.promised(&row("build, fitted"), build, Unit::Milliseconds, Wanted::AtMost(60_000_000), none);
    table.promised(&row("memory to build"), peak, Unit::Mebibytes, Wanted::AtMost(800 * 1000 * 1000 / 1024), none);
    table.shown(&row("file"), figure("indexBytes"), Unit::Megabytes);
    let model = place.join("model");
    let cold = starts(program, &model, effort.starts, true)?;
    let warm = starts(program, &model, effort.starts, false)?;
    let row = |part: &str| format!("recommendations, {what}: start to first answer, {part}");
    table.promised(&row("nothing cached"), cold, Unit::Milliseconds, Wanted::AtMost(50_000), none);
    table.promised(&row("cached"), warm, Unit::Milliseconds, Wanted::AtMost(10_000), none);
    Ok(())
}

/// What half, nine of ten and all but five of a thousand queries take, and should take, in microseconds; 0 for no promise.
fn queries(what: &str, wanted: [u64; 3], said: &Value, table: &mut Table) {
    let rows = [("half", "p50Ns"), ("9 of 10", "p90Ns"), ("995 of 1000", "p99_5Ns")];
    for ((share, name), wanted) in rows.into_iter().zip(wanted) {
        let row = format!("recommendations, {what}: {share} take no longer than");
        let target = if wanted > 0 { Wanted::AtMost(wanted * 1000) } else { Wanted::Nothing };
        table.promised(&row, said[name].as_u64().unwrap_or(0), Unit::Microseconds, target, Wanted::Nothing);
    }
}

pub(super) fn speed(program: &Path, place: &Path, words: &[&str]) -> Result<Value, Failure> {
    let mut command = child::command(program)?;
    command.arg("speed").args(words).arg("--place").arg(place);
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))
}

/// Microseconds from the start of the process to its end, which is right after its first answer.
fn starts(program: &Path, model: &Path, times: usize, cold: bool) -> Result<u64, Failure> {
    let mut took = Vec::new();
    for _ in 0..times {
        if cold {
            forget(model)?;
        }
        let mut command = child::command(program)?;
        command.arg("first").arg(model).arg(ITEM).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(Failure::file("start", program))?;
        if !status.success() {
            return Err(Failure::new(format!("{} first: {status}", program.display())));
        }
        took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(median(took))
}

/// The system keeps nothing of the file in memory. Source: GNU coreutils manual, `dd`, flag `nocache`.
fn forget(model: &Path) -> Result<(), Failure> {
    let mut dd = child::command(Path::new("dd"))?;
    dd.arg(format!("of={}", model.display())).args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
    let status = dd.stdin(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.map_err(Failure::file("start", Path::new("dd")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("dd: {status}"))) }
}
