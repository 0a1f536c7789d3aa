//! What is shipped: one file that runs on any host image.
use std::fs;

use super::table::{Table, Unit, Wanted};
use crate::{build, failure::Failure};

pub(super) fn measure(table: &mut Table) -> Result<(), Failure> {
    let handler = build::shipped()?;
    let bytes = fs::metadata(&handler).map_err(Failure::file("weigh", &handler))?.len();
    table.promised("what is shipped", bytes, Unit::Megabytes, Wanted::AtMost(30_000_000), Wanted::Nothing);
    Ok(())
}
