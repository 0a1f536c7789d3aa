//! Orders from an empty cart to the placed order: in one process on SQLite, and from outside through the dev
//! host, by as many buyers at a time.
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use ureq::Agent;

use super::{
    Effort, percentile,
    table::{Table, Unit, Wanted},
};
use crate::{child, failure::Failure, handler, stage, workspace};

/// Buyers at a time.
const BUYERS: usize = 32;
/// SKUs in the shop; a buyer takes two of them.
const SKUS: usize = 100;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The shop's operations in one process.
pub(super) fn in_process(program: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let mut command = child::command(program)?;
    command.args([BUYERS.to_string(), effort.orders.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    let said: Value =
        serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))?;
    let figure = |name: &str| said[name].as_u64().unwrap_or(0);
    let none = Wanted::Nothing;
    let rate = figure("ordersPerSecond");
    table.promised("orders placed in process, 32 at a time", rate, Unit::PerSecond, Wanted::AtLeast(300), none);
    table.shown("an order in process: half take no longer than", figure("p50Us"), Unit::Milliseconds);
    table.shown("an order in process: 99 of 100 take no longer than", figure("p99Us"), Unit::Milliseconds);
    table.shown("an order of two lines: documents read", figure("readsPer1000"), Unit::Ratio);
    table.shown("an order of two lines: batches written", figure("writesPer1000"), Unit::Ratio);
    table.shown("an order of two lines: queries", figure("queriesPer1000"), Unit::Ratio);
    Ok(())
}

/// The same orders over HTTP, through the dev host.
pub(super) fn over_http(handler: &Path, devhost: &Path, effort: Effort, table: &mut Table) -> Result<(), Failure> {
    let data = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the data")))?;
    stock_up(handler, data.path())?;
    let stage = data.path().join("stage");
    stage::lay_out(workspace::root(), handler, &stage)?;
    let shop = DevHost::start(devhost, &stage, data.path())?;
    let goods = goods(&shop.url)?;
    run(&shop.url, &goods, BUYERS)?;
    let (took, each) = run(&shop.url, &goods, effort.orders_over_http)?;
    let orders = u128::try_from(effort.orders_over_http).unwrap_or(0);
    let rate = u64::try_from(orders * 1_000_000 / took.as_micros().max(1)).unwrap_or(u64::MAX);
    let none = Wanted::Nothing;
    table.promised("orders placed over HTTP, 32 at a time", rate, Unit::PerSecond, Wanted::AtLeast(100), none);
    table.shown(
        "an order over HTTP (5 calls): half take no longer than",
        percentile(each.clone(), 50),
        Unit::Milliseconds,
    );
    table.shown(
        "an order over HTTP (5 calls): 99 of 100 take no longer than",
        percentile(each, 99),
        Unit::Milliseconds,
    );
    Ok(())
}

/// A shop with so much of everything that no buyer is refused.
fn stock_up(handler: &Path, data: &Path) -> Result<(), Failure> {
    let file = data.join("goods.csv");
    let rows: String = (0..SKUS).map(|n| format!("SKU-{n:04},Thing {n},{}.99\n", 1 + n % 50)).collect();
    fs::write(&file, format!("sku,title,price\n{rows}")).map_err(Failure::file("write", &file))?;
    let mut import = handler::import(handler, data)?;
    import.arg(&file).args(["--currency", "GBP", "--on-hand", "1000000"]).stdout(Stdio::null());
    let status = import.status().map_err(Failure::file("start", handler))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("the goods cannot be loaded: {status}"))) }
}

/// The dev host with the shop; dropping it ends both.
struct DevHost {
    child: Child,
    url: String,
}

impl DevHost {
    fn start(program: &Path, stage: &Path, data: &Path) -> Result<DevHost, Failure> {
        let mut command = child::command(program)?;
        command.arg("--stage").arg(stage).arg("--data").arg(data).args(["--port", "0", "--entities"]);
        command.arg(workspace::root().join("infra/bicep/entities.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir(workspace::root());
        let child = command.spawn().map_err(Failure::file("start", program))?;
        let mut host = DevHost { child, url: String::new() };
        let stdout = host.child.stdout.take().ok_or_else(|| Failure::new("the dev host has no output"))?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        host.url = lines
            .find_map(|line| line.strip_prefix("ready ").map(|it| it.trim().to_owned()))
            .ok_or_else(|| Failure::new("the dev host ended before it served"))?;
        thread::spawn(move || lines.for_each(drop));
        Ok(host)
    }
}

impl Drop for DevHost {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
        self.child.wait().ok();
    }
}

/// What can be bought in number.
fn goods(url: &str) -> Result<Vec<String>, Failure> {
    let agent = agent();
    let path = format!("{url}/api/v1/products?limit=100");
    let page: Value = agent
        .get(&path)
        .call()
        .and_then(|mut answer| answer.body_mut().read_json())
        .map_err(|err| Failure::new(format!("GET {path}: {err}")))?;
    let items = page["items"].as_array().into_iter().flatten();
    let skus: Vec<String> = items.filter_map(|it| it["variants"][0]["sku"].as_str().map(str::to_owned)).collect();
    if skus.is_empty() { Err(Failure::new("the shop lists no product")) } else { Ok(skus) }
}

fn agent() -> Agent {
    Agent::config_builder().timeout_global(Some(ANSWER_WITHIN)).http_status_as_error(false).build().into()
}

/// How long all took, and each, in microseconds.
fn run(url: &str, goods: &[String], orders: usize) -> Result<(Duration, Vec<u64>), Failure> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let each = thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|_| {
                scope.spawn(|| {
                    let (agent, mut took) = (agent(), Vec::new());
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= orders {
                            return Ok::<_, Failure>(took);
                        }
                        let start = Instant::now();
                        place(&agent, url, goods, n)?;
                        took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
                    }
                })
            })
            .collect();
        let mut each = Vec::with_capacity(orders);
        for buyer in buyers {
            each.extend(buyer.join().map_err(|_| Failure::new("a buyer gave up"))??);
        }
        Ok::<_, Failure>(each)
    })?;
    Ok((start.elapsed(), each))
}

fn place(agent: &Agent, url: &str, goods: &[String], n: usize) -> Result<(), Failure> {
    let cart = ask(agent, "POST", &format!("{url}/api/v1/carts"), &[], &json!({}))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (id, token) = (text(&cart["id"]), text(&cart["token"]));
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "once")];
    for offset in [0, 7] {
        let sku = &goods[(n + offset) % goods.len()];
        let line = format!("{url}/api/v1/carts/{id}/lines/{sku}");
        ask(agent, "PUT", &line, &headers[..1], &json!({ "quantity": 1 }))?;
    }
    let address = json!({
        "name": "Ada Byron", "line1": "1 Mill Lane", "city": "Leeds", "postalCode": "LS1 1AA", "country": "GB"
    });
    let begin = json!({
        "cartId": id, "email": format!("buyer-{n}@example.org"), "shippingAddress": address, "shippingMethod": "standard"
    });
    let checkout = ask(agent, "POST", &format!("{url}/api/v1/checkouts"), &headers[..1], &begin)?;
    let complete = json!({ "expectedTotal": checkout["totals"]["total"], "payment": { "method": "sandbox_approve" } });
    let path = format!("{url}/api/v1/checkouts/{}/complete", text(&checkout["id"]));
    let order = ask(agent, "POST", &path, &headers, &complete)?;
    if order["lifecycle"] == "placed" { Ok(()) } else { Err(Failure::new(format!("order {n} is not placed: {order}"))) }
}

fn ask(agent: &Agent, method: &str, url: &str, headers: &[(&str, &str)], body: &Value) -> Result<Value, Failure> {
    let said = |err: ureq::Error| Failure::new(format!("{method} {url}: {err}"));
    let mut request = ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.to_string()).map_err(|err| Failure::new(format!("{method} {url}: {err}")))?;
    let mut answer = agent.run(request).map_err(said)?;
    let value: Value = answer.body_mut().read_json().map_err(said)?;
    if answer.status().is_success() {
        Ok(value)
    } else {
        Err(Failure::new(format!("{method} {url} is answered by {}: {value}", answer.status())))
    }
}
