//! One product's page with Redis and without, in one process.
use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    Effort,
    server::free_port,
    table::{Table, Unit},
};
use crate::{child, failure::Failure, tools};

const WAYS: [(&str, &str); 4] = [
    ("memory", "from the process's memory"),
    ("redis", "from Redis"),
    ("store", "from the store, without Redis"),
    ("storeWithoutRedis", "from the store, where Redis is away"),
];

pub(super) fn measure(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let (server, port) = (tools::redis()?, free_port()?);
    let mut redis = child::command(&server)?;
    redis.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()]);
    let mut redis = redis.stdout(Stdio::null()).spawn().map_err(Failure::file("start", &server))?;
    let said = run(program, port, effort);
    redis.kill().ok();
    redis.wait().ok();
    let said = said?;
    for (name, way) in WAYS {
        let figure = |figure: &str| said[name][figure].as_u64().unwrap_or(0);
        table.shown(&format!("get_product {way}: half take no longer than"), figure("p50Ns"), Unit::Microseconds);
        table.shown(&format!("get_product {way}: 99 of 100"), figure("p99Ns"), Unit::Microseconds);
    }
    Ok(())
}

fn run(program: &Path, port: u16, effort: Effort) -> Result<Value, Failure> {
    let mut command: Command = child::command(program)?;
    command.args([format!("redis://127.0.0.1:{port}"), effort.pages.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))
}
