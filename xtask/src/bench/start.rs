//! From the start of a process to its first answer: what a shopper waits for when the shop was asleep.
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::{
    Effort, median,
    server::{Handler, environment, first_answer, free_port},
    table::{Table, Unit, Wanted},
};
use crate::failure::Failure;

/// The least that Node can be asked to do; the port is its argument.
const NODE: &str = "require('http').createServer((q,s)=>s.end('ok')).listen(+process.argv[1],'127.0.0.1')";

/// Every dependency in Azure, and none of them there.
const IN_AZURE: &str = include_str!("../../../tests/it/fixtures/azure.env");
/// Asks for no dependency, as a warm-up does.
const LIVE: &str = "/api/health/live";

/// Starts with the embedded adapters beside starts with Azure's.
pub(super) fn unreachable(program: &Path, data: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let (mut embedded, mut azure) = (Vec::new(), Vec::new());
    for turn in 0..=effort.starts {
        let here = timed(program, LIVE, |command, port| environment(command, data, port))?;
        let there = timed(program, LIVE, |command, port| {
            let settings = IN_AZURE.lines().filter_map(|it| it.split_once('='));
            command.env_clear().envs(settings).env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        })?;
        if turn > 0 {
            embedded.push(here);
            azure.push(there);
        }
    }
    let (embedded, azure) = (median(embedded), median(azure));
    table.shown("start to live, embedded adapters", embedded, Unit::Milliseconds);
    table.shown("start to live, Azure's adapters, nothing reachable", azure, Unit::Milliseconds);
    let ratio = azure * 1000 / embedded.max(1);
    table.promised(
        "the one of the other, Azure's to embedded",
        ratio,
        Unit::Ratio,
        Wanted::AtMost(1_500),
        Wanted::Nothing,
    );
    Ok(())
}

pub(super) fn measure(program: &Path, data: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let product = Handler::start(program, data)?.product;
    let (mut ours, mut nodes) = (Vec::new(), Vec::new());
    // The first start of each reads its program from disk and is not counted.
    for turn in 0..=effort.starts {
        let mine = timed(Path::new(program), &product, |command, port| environment(command, data, port))?;
        let node = timed(Path::new("node"), "/", |command, port| {
            command.args(["-e", NODE, &port.to_string()]);
        })?;
        if turn > 0 {
            ours.push(mine);
            nodes.push(node);
        }
    }
    let (ours, nodes) = (median(ours), median(nodes));
    let (target, goal) = (Wanted::AtMost(25_000), Wanted::AtMost(10_000));
    table.promised("start to first product answered", ours, Unit::Milliseconds, target, goal);
    table.shown("start to first answer of a one-line Node server", nodes, Unit::Milliseconds);
    let ratio = ours * 1000 / nodes.max(1);
    table.promised("the one of the other", ratio, Unit::Ratio, Wanted::AtMost(333), Wanted::AtMost(142));
    Ok(())
}

/// Microseconds from start to a whole answer with 200.
pub(super) fn timed(program: &Path, path: &str, prepare: impl FnOnce(&mut Command, u16)) -> Result<u64, Failure> {
    let port = free_port()?;
    let mut command = Command::new(program);
    prepare(&mut command, port);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().map_err(Failure::file("start", program))?;
    let answered = first_answer(port, path);
    let took = start.elapsed();
    child.kill().ok();
    child.wait().ok();
    answered?;
    u64::try_from(took.as_micros()).map_err(|_| Failure::new("the first answer took for ever"))
}
