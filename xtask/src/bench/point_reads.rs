//! What the adapter of Cosmos DB adds to a point read by the SDK, in processor time of the client.
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use super::{
    Effort,
    table::{Table, Unit, Wanted},
};
use crate::{build, child, failure::Failure};

/// Any key will do: the emulator looks at none.
const KEY: &str = "a2V5";

pub(super) fn measure(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let emulator = build::cosmos_emulator()?;
    let account = json!({
        "regions": ["North Europe"], "database": "offpeak", "partitions": 1,
        "containers": [{ "name": "carts", "partition_key": "/cartId" }]
    });
    let folder = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the account")))?;
    let file = folder.path().join("account.json");
    std::fs::write(&file, account.to_string()).map_err(Failure::file("write", &file))?;
    let mut command = child::command(&emulator)?;
    command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut emulator = command.spawn().map_err(Failure::file("start", &emulator))?;
    let said = asked(program, &mut emulator, effort);
    emulator.kill().ok();
    emulator.wait().ok();
    let said = said?;
    let figure = |name: &str| said[name].as_u64().unwrap_or(0);
    let (adapter, sdk) = (figure("adapterNs"), figure("sdkNs"));
    table.shown("Cosmos DB point read: processor time, adapter", adapter, Unit::Microseconds);
    table.shown("Cosmos DB point read: processor time, bare SDK", sdk, Unit::Microseconds);
    let ratio = adapter * 1000 / sdk.max(1);
    table.promised("the one of the other", ratio, Unit::Ratio, Wanted::AtMost(1_150), Wanted::Nothing);
    Ok(())
}

fn asked(program: &Path, emulator: &mut Child, effort: Effort) -> Result<Value, Failure> {
    let lines = emulator.stdout.take().map(|it| BufReader::new(it).lines());
    let ready = lines.and_then(|mut it| it.next()).and_then(Result::ok);
    let url = ready.as_deref().and_then(|it| it.strip_prefix("ready "));
    let url = url.ok_or_else(|| Failure::new("the emulator of Cosmos DB does not start"))?;
    let mut command = child::command(program)?;
    command.args([url, KEY, &effort.point_reads.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))
}
