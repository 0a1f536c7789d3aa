//! Pricing a large cart under many promotions, on one thread.
use std::{path::Path, process::Stdio};

use serde_json::Value;

use super::{
    Effort,
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure};

pub(super) fn measure(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut command = child::command(program)?;
    command.arg(effort.pricings.to_string());
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    let said: Value =
        serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))?;
    let figure = |name: &str| said[name].as_u64().unwrap_or(0);
    let what = format!("pricing {} lines under {} promotions: half take", figure("lines"), figure("promotions"));
    table.promised(&what, figure("medianNs"), Unit::Microseconds, Wanted::AtMost(50_000), Wanted::Nothing);
    let grown = figure("allocations").abs_diff(figure("allocationsInASmallShop"));
    let what = "pricing that cart: allocations more than where the list is a hundredth as long";
    table.promised(what, grown, Unit::Count, Wanted::AtMost(0), Wanted::Nothing);
    table.shown("pricing that cart: 99 of 100 take no longer than", figure("p99Ns"), Unit::Microseconds);
    Ok(())
}
