//! One SKU that everybody wants: holds by 64 buyers at a time, written together and each by itself.
use std::{path::Path, process::Stdio};

use serde_json::Value;

use super::{
    Effort,
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure};

const BUYERS: usize = 64;

pub(super) fn measure(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut command = child::command(program)?;
    command.args([BUYERS.to_string(), effort.holds.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    let said: Value =
        serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))?;
    let figure = |way: &str, name: &str| said[way][name].as_u64().unwrap_or(0);
    let none = Wanted::Nothing;
    let rate = figure("together", "holdsPerSecond");
    table.promised("one SKU, 64 buyers: holds together", rate, Unit::PerSecond, Wanted::AtLeast(1_000), none);
    let alone = figure("alone", "holdsPerSecond");
    table.shown("one SKU, 64 buyers: holds each by itself", alone, Unit::PerSecond);
    let (batches, by_itself) = (figure("together", "batchesPer1000"), figure("alone", "batchesPer1000"));
    table.shown("store writes per hold, together", batches, Unit::Ratio);
    table.shown("store writes per hold, each by itself", by_itself, Unit::Ratio);
    let fewer = by_itself * 1000 / batches.max(1);
    table.promised("times fewer writes per hold together", fewer, Unit::Ratio, Wanted::AtLeast(5_000), none);
    table.shown("store reads per hold, together", figure("together", "readsPer1000"), Unit::Ratio);
    table.shown("store reads per hold, each by itself", figure("alone", "readsPer1000"), Unit::Ratio);
    Ok(())
}
