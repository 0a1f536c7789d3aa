//! `verify`: asks a running shop to check its store against the invariants, waits for a job to end, and says what
//! was found.
use std::{thread, time::Duration};

use lexopt::{Arg, Parser, ValueExt};
use serde_json::{Map, Value, json};
use ureq::Agent;

use crate::failure::Failure;

/// One question; a small store is checked before the answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at a job.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks at a job, so that a job that stands still ends the command.
const LOOKS_MAX: u32 = 24 * 3_600;
/// Findings shown of each invariant.
const SHOWN_MAX: usize = 10;

const HELP: &str = "\
usage: cargo xtask verify [OPTIONS]

  --url URL      the running shop, default http://127.0.0.1:7071
  --since TIME   only purchases that changed since then, RFC 3339
  --sample N     one purchase in N
  --token TOKEN  a staff token with the scope read_reports; default: one from the dev host
";

#[derive(Debug, PartialEq)]
struct Options {
    url: String,
    ask: Value,
    token: Option<String>,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let (mut url, mut ask, mut token) = ("http://127.0.0.1:7071".to_owned(), Map::new(), None);
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("url") => url = args.value()?.string()?.trim_end_matches('/').to_owned(),
                Arg::Long("since") => drop(ask.insert("since".to_owned(), args.value()?.string()?.into())),
                Arg::Long("sample") => drop(ask.insert("sample".to_owned(), args.value()?.parse::<u32>()?.into())),
                Arg::Long("token") => token = Some(args.value()?.string()?),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(Options { url, ask: Value::Object(ask), token }))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let report = Shop::new(options)?.verify()?;
    print!("{}", told(&report));
    if report["ok"] == true { Ok(()) } else { Err(Failure::new("the store breaks an invariant")) }
}

struct Shop {
    agent: Agent,
    options: Options,
    token: String,
}

impl Shop {
    fn new(mut options: Options) -> Result<Shop, Failure> {
        let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        let mut shop = Shop { agent: agent.new_agent(), token: options.token.take().unwrap_or_default(), options };
        if shop.token.is_empty() {
            let staff = json!({ "sub": "verify", "scopes": ["read_reports"] });
            let (_, answer, _) = shop.ask("POST", "/dev/token", Some(&staff))?;
            let token = answer["access_token"].as_str();
            shop.token = token.ok_or_else(|| Failure::new("there is no dev host to give a token: use --token"))?.into();
        }
        Ok(shop)
    }

    /// Status, body and `Location`.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value, Option<String>), Failure> {
        let url = format!("{}{path}", self.options.url);
        let request = ureq::http::Request::builder().method(method).uri(&url);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = request.header("content-type", "application/json");
        let request = request.body(body.map(Value::to_string).unwrap_or_default());
        let request = request.map_err(|err| Failure::new(format!("{url}: {err}")))?;
        let answer = self.agent.run(request).map_err(|err| Failure::new(format!("{url}: {err}")))?;
        let location = answer.headers().get("location").and_then(|it| it.to_str().ok()).map(ToOwned::to_owned);
        let status = answer.status().as_u16();
        let body = answer.into_body().read_json().unwrap_or(Value::Null);
        Ok((status, body, location))
    }

    fn verify(&self) -> Result<Value, Failure> {
        let (mut status, mut report, location) = self.ask("POST", "/api/v1/manage/verify", Some(&self.options.ask))?;
        for _ in 0..LOOKS_MAX {
            match (status, &location) {
                (200, _) => return Ok(report),
                (202, Some(location)) => {
                    println!("{} purchases so far", report["purchases"]);
                    thread::sleep(PAUSE);
                    (status, report, _) = self.ask("GET", location, None)?;
                }
                // The shop was not there for a moment.
                (503 | 429, Some(location)) => {
                    thread::sleep(PAUSE);
                    (status, report, _) = self.ask("GET", location, None)?;
                }
                _ => return Err(Failure::new(format!("the shop answers {status}: {report}"))),
            }
        }
        Err(Failure::new("the job does not end"))
    }
}

/// One line for each invariant, and the findings below it.
fn told(report: &Value) -> String {
    let mut text = format!("{} purchases\n", report["purchases"]);
    if report["busy"].as_u64().unwrap_or(0) > 0 {
        let why = "were changing, or had changed less than 2 minutes before, and were not judged: ask again later";
        text.push_str(&format!("{} subjects {why}\n", report["busy"]));
    }
    for invariant in report["invariants"].as_array().into_iter().flatten() {
        let said = |name: &str| invariant[name].as_str().unwrap_or_default().to_owned();
        let mark = match (invariant["ok"] == true, invariant["checked"] == 0) {
            (false, _) => "BROKEN",
            (true, false) => "holds",
            // Nothing was judged, so nothing is known.
            (true, true) => "-",
        };
        text.push_str(&format!("{} {mark:<6} {:>8} checked  {}\n", said("id"), invariant["checked"], said("title")));
        let violations = invariant["violations"].as_array().map(Vec::as_slice).unwrap_or_default();
        for it in violations.iter().take(SHOWN_MAX) {
            let said = |name: &str| it[name].as_str().unwrap_or_default();
            text.push_str(&format!("   {}: {}\n", said("subject"), said("detail")));
        }
        let hidden = violations.len().saturating_sub(SHOWN_MAX) as u64 + invariant["more"].as_u64().unwrap_or(0);
        if hidden > 0 {
            text.push_str(&format!("   and {hidden} more\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_with_its_findings() {
        let violations: Vec<_> = (0..12).map(|n| json!({ "subject": format!("SKU-{n}"), "detail": "lost" })).collect();
        let report = json!({ "ok": false, "purchases": 3, "busy": 1, "invariants": [
            { "id": "I1", "title": "stock", "ok": false, "checked": 12, "violations": violations, "more": 5 },
            { "id": "I2", "title": "prices", "ok": true, "checked": 3, "violations": [], "more": 0 },
            { "id": "I6", "title": "stored value", "ok": true, "checked": 0, "violations": [], "more": 0 },
        ]});
        let text = told(&report);
        assert!(text.contains("I1 BROKEN") && text.contains("   SKU-9: lost\n   and 7 more\n"), "{text}");
        assert!(text.contains("I2 holds") && !text.contains("SKU-10"), "{text}");
        assert!(text.contains("I6 - ") && text.starts_with("3 purchases\n1 subjects were changing, or "), "{text}");
    }

    #[test]
    fn what_is_asked_for_is_what_is_sent() {
        let args = ["--url", "http://shop/", "--sample", "10", "--since", "2026-01-01T00:00:00Z", "--token", "t"];
        let options = Options::parse(Parser::from_args(args)).unwrap().unwrap();
        assert_eq!((options.url.as_str(), options.token.as_deref()), ("http://shop", Some("t")));
        assert_eq!(options.ask, json!({ "sample": 10, "since": "2026-01-01T00:00:00Z" }));
        assert!(Options::parse(Parser::from_args(["--sample", "-1"])).is_err());
    }
}
