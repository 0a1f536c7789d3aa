//! `GET /recommendations` on the handler: beside a server that does nothing but send such an answer, and from the start of
//! a process to its first one. Each request is of another session that the model has not seen, or about the item that one
//! has before it.
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    Effort, Programs,
    load::{Asked, Record, p99, pairs, record},
    median,
    recommendations::{SMALL, speed},
    server::{Handler, Server, environment, get, json},
    start::timed,
    table::{Table, Unit, Wanted},
};
use crate::{failure::Failure, handler};

const CATEGORY: usize = 50;
pub(super) const FIRST: &str = "/api/v1/recommendations?surface=next&seen=item-000017,item-000003";
/// Where bare warp sends its answer.
const BARE: &str = "/api/v1/products/any";
/// One line of the file after the other; each is what a session has seen, newest last.
const SCRIPT: &str = "local n, requests = 0, {}
for seen in io.lines('ASKED') do
  requests[#requests + 1] = wrk.format('GET', '/api/v1/recommendations?' .. QUESTION)
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
";
/// What a session is shown next.
const OF_SESSION: &str = "'surface=next&seen=' .. seen";
/// What is shown around a product, whoever looks at it.
const OF_ITEM: &str =
    "'surface=' .. (#requests % 2 == 0 and 'similar' or 'together') .. '&sku=' .. seen:match('[^,]*$')";

pub(super) fn measure(
    programs: &Programs,
    evaluation: &Path,
    effort: Effort,
    table: &mut Table,
) -> Result<(), Failure> {
    let place = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the data")))?;
    let data = place.path();
    goods(&programs.handler, data, SMALL.1)?;
    let models = data.join("models");
    fs::create_dir_all(&models).map_err(Failure::file("make", &models))?;
    let asked = data.join("asked");
    let (sessions, items) = (SMALL.0.to_string(), SMALL.1.to_string());
    let words = ["--sessions", &sessions, "--items", &items, "--asked", &asked.to_string_lossy()];
    speed(evaluation, &models, &words)?;
    // What a process has fetched has such a name.
    let (built, kept) = (models.join("model"), models.join("model-0"));
    fs::rename(&built, &kept).map_err(Failure::file("move", &built))?;
    starts(&programs.handler, data, effort, table)?;
    rates(programs, data, &asked, effort, table)
}

/// The items that sessions know, in the shop.
pub(super) fn goods(program: &Path, data: &Path, items: usize) -> Result<(), Failure> {
    let mut list = "sku,title,price,category\n".to_owned();
    for number in 0..items {
        let category = number / CATEGORY;
        // Writing to a string cannot fail.
        writeln!(list, "item-{number:06},Item {number} of a synthetic shop,9.99,Category {category}").ok();
    }
    let file = data.join("goods.csv");
    fs::write(&file, list).map_err(Failure::file("write", &file))?;
    let mut import = handler::import(program, data)?;
    import.args(["--currency", "GBP", "--on-hand", "100"]).arg(&file).stdout(Stdio::null());
    let status = import.status().map_err(Failure::file("start", program))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("the goods cannot be loaded: {status}"))) }
}

fn starts(program: &Path, data: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut took = Vec::new();
    for turn in 0..=effort.starts {
        let start = timed(program, FIRST, |command, port| environment(command, data, port))?;
        if turn > 0 {
            took.push(start);
        }
    }
    let (target, none) = (Wanted::AtMost(50_000), Wanted::Nothing);
    table.promised("start to first recommendation, model on disk", median(took), Unit::Milliseconds, target, none);
    Ok(())
}

fn rates(programs: &Programs, data: &Path, asked: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let handler = Handler::start(&programs.handler, data)?;
    let answer = get(handler.server.port, FIRST)?;
    let list = json(&answer)?;
    if list["modelVersion"] != "0" || list["items"].as_array().is_none_or(|it| it.len() < 10) {
        return Err(Failure::new(format!("this is no list of the model: {list}")));
    }
    let recorded = record(&answer, data)?;
    let bare = Server::start(&programs.bare_warp, BARE, |command, port| {
        command.arg(port.to_string()).arg(&recorded);
    })?;
    let script = |name: &str, question: &str| -> Result<PathBuf, Failure> {
        let text = SCRIPT.replace("ASKED", &asked.to_string_lossy()).replace("QUESTION", question);
        let path = data.join(name);
        fs::write(&path, text).map_err(Failure::file("write", &path))?;
        Ok(path)
    };
    let (of_session, of_item) = (script("session.lua", OF_SESSION)?, script("item.lua", OF_ITEM)?);
    let asked = |script| Asked { path: FIRST, script: Some(script) };
    let (mut sessions, mut items, mut by_warp) = (Record::default(), Record::default(), Record::default());
    for round in 0..=effort.rounds {
        sessions.add(&handler.server, asked(&of_session), effort.round_s, round > 0)?;
        by_warp.add(&bare, Asked { path: BARE, script: None }, effort.round_s, round > 0)?;
        items.add(&handler.server, asked(&of_item), effort.round_s, round > 0)?;
    }
    rows("recommend, next of a session", &sessions, &by_warp, table);
    rows("recommend, around an item", &items, &by_warp, table);
    let what = "recommend: processor time per request, bare warp";
    table.shown(what, median(by_warp.costs_ns), Unit::Microseconds);
    for connections in ["16", "64"] {
        let took = p99(&handler.server.url(FIRST), &of_session, connections, effort.round_s)?;
        let what = format!("recommend, next of a session: 99 of 100 take no longer than, {connections} connections");
        table.shown(&what, took, Unit::Milliseconds);
    }
    Ok(())
}

fn rows(what: &str, ours: &Record, by_warp: &Record, table: &mut Table) {
    let (target, none) = (Wanted::AtLeast(500), Wanted::Nothing);
    let by_rate = pairs(&ours.rates, &by_warp.rates);
    table.promised(&format!("{what}: of bare warp's rate"), by_rate, Unit::Ratio, target, none);
    let by_cost = pairs(&by_warp.costs_ns, &ours.costs_ns);
    table.shown(&format!("{what}: the same by processor time"), by_cost, Unit::Ratio);
    table.shown(&format!("{what}: requests per second on one core"), median(ours.rates.clone()), Unit::PerSecond);
    table.shown(&format!("{what}: processor time per request"), median(ours.costs_ns.clone()), Unit::Microseconds);
}
