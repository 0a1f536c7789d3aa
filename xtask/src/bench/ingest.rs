//! Clicks from the hub to what is kept of them, on one thread.
use std::{path::Path, process::Stdio};

use serde_json::Value;

use super::{
    Effort,
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure};

pub(super) fn measure(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut command = child::command(program)?;
    command.arg(effort.batches.to_string());
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    let said: Value =
        serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))?;
    let rate = |name: &str| said[name].as_u64().unwrap_or(0);
    let what = "ingest_clicks: events of shoppers in a second, one core";
    table.promised(what, rate("perSecond"), Unit::PerSecond, Wanted::AtLeast(50_000), Wanted::Nothing);
    table.shown("the same in one minute, which has no room for most", rate("perSecondInOneMinute"), Unit::PerSecond);
    Ok(())
}
