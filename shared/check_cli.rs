//! `handler --check`: asks everything that the settings name, the way the shop itself asks, and says in a table what
//! cannot be used and which setting or role to put right. It changes nothing and shows no secret. Exit code 0: all can
//! be used; 1: something cannot.
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use futures_util::{future::join, future::join_all};

use crate::shared::{
    app::{App, Dependency},
    operations::taxes,
    ports::{Ports, chain, reach::Unreached},
};

/// All that one dependency has; a little longer than most adapters have themselves, so that their reasons are told.
const PATIENCE: Duration = Duration::from_secs(6);

struct Row {
    /// Dependency, adapter, settings.
    called: [&'static str; 3],
    outcome: Result<(), Unreached>,
    took: Duration,
}

/// Asks all at once; answers the process's exit code.
pub async fn run(app: &App, out: &mut impl Write) -> u8 {
    let (mut rows, taxes) = join(join_all(app.dependencies.iter().map(dependency)), taxes(&app.shop.ports)).await;
    rows.extend(taxes);
    let failed = rows.iter().filter(|it| it.outcome.is_err()).count();
    match print(&rows, failed, out) {
        Ok(()) => u8::from(failed > 0),
        Err(err) => {
            eprintln!("check: {err}");
            1
        }
    }
}

async fn dependency(it: &Dependency) -> Row {
    let (outcome, took) = timed(it.reach.reach()).await;
    Row { called: [it.name, it.adapter, it.settings], outcome, took }
}

/// The one dependency that the store's own settings name; no row without it.
async fn taxes(ports: &Ports) -> Option<Row> {
    let (outcome, took) = timed(taxes::reach(ports)).await;
    let outcome = match outcome {
        Ok(false) => return None,
        Ok(true) => Ok(()),
        Err(error) => Err(error),
    };
    Some(Row { called: ["taxes", "http", "the store's settings"], outcome, took })
}

async fn timed<T>(asking: impl Future<Output = Result<T, Unreached>>) -> (Result<T, Unreached>, Duration) {
    let start = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    let outcome = answer.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}").into()));
    (outcome, start.elapsed())
}

fn print(rows: &[Row], failed: usize, out: &mut impl Write) -> io::Result<()> {
    let widest = |n: usize| rows.iter().map(|it| it.called[n].len()).max().unwrap_or(0);
    let (name, adapter, settings) = (widest(0), widest(1), widest(2));
    for Row { called: [a, b, c], outcome, took } in rows {
        let state = if outcome.is_ok() { "ok" } else { "failed" };
        write!(out, "{a:name$}  {b:adapter$}  {c:settings$}  {state:6}  {:>5} ms", took.as_millis())?;
        match outcome {
            Ok(()) => writeln!(out)?,
            // On one line, whatever a service has said.
            Err(error) => {
                writeln!(out, "  {}", chain(error.as_ref()).split_whitespace().collect::<Vec<_>>().join(" "))?;
            }
        }
    }
    match failed {
        0 => writeln!(out, "all {} can be used", rows.len()),
        _ => writeln!(out, "{failed} of {} cannot be used", rows.len()),
    }
}
