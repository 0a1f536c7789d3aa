//! Several lines of a cart, as they are sent and as they are answered.
use std::collections::HashSet;

use offpeak_domain::{
    cart::{LINES_MAX, LineChange, LineRefusal},
    code::Code,
    quantity::{BadQuantity, Quantity},
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::refusals::line_code;
use crate::shared::{host::problem::Problem, operations::carts::Mode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    pub sku: String,
    /// Any JSON number is read; which ones are quantities is decided by [`quantity`].
    pub quantity: serde_json::Number,
}

/// What became of one line: `set`, `removed` or `refused`.
#[derive(Serialize)]
pub struct LineResultView {
    pub sku: String,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A line that is none; the reason with its stable name.
pub type BadLine = (&'static str, String);

/// Units to set, `None` to remove the line. Whole numbers only: no sign, no fraction, no exponent.
///
/// # Errors
/// [`BadQuantity`].
pub fn quantity(number: &serde_json::Number) -> Result<Option<Quantity>, BadQuantity> {
    match number.as_u64() {
        Some(0) => Ok(None),
        Some(units) => u32::try_from(units).map_err(|_| BadQuantity).and_then(Quantity::new).map(Some),
        None => Err(BadQuantity),
    }
}

/// Each line as a change, or why it is none.
///
/// # Errors
/// 422 for no lines or too many, and, unless each line stands for itself, for any that is none.
pub fn parse_lines(lines: &[LineBody], mode: Mode) -> Result<Vec<Result<LineChange, BadLine>>, Problem> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Problem::invalid("lines", format!("send 1 to {LINES_MAX} lines")));
    }
    let mut named = HashSet::new();
    let parsed: Vec<_> = lines.iter().map(|line| parse(line, &mut named)).collect();
    if mode == Mode::AllOrNothing && parsed.iter().any(Result::is_err) {
        let bad = parsed.iter().enumerate().filter_map(|(at, line)| Some((at, line.as_ref().err()?)));
        let errors: Vec<_> = bad
            .map(|(at, (code, detail))| json!({ "field": format!("/lines/{at}"), "code": code, "detail": detail }))
            .collect();
        return Err(Problem::new(Code::ValidationFailed, "Some lines are not lines. Nothing was changed.")
            .with("errors", json!(errors)));
    }
    Ok(parsed)
}

fn parse<'a>(line: &'a LineBody, named: &mut HashSet<&'a str>) -> Result<LineChange, BadLine> {
    let sku = Sku::parse(&line.sku).map_err(|err| ("invalid_sku", err.to_string()))?;
    let quantity = quantity(&line.quantity).map_err(|err| ("invalid_quantity", err.to_string()))?;
    if !named.insert(&line.sku) {
        return Err(("repeated_sku", format!("{sku} stands twice in one request")));
    }
    Ok(LineChange { sku, quantity })
}

/// One result for each line as sent: its own fault, or what became of its change.
pub fn merged_results(
    lines: &[LineBody],
    parsed: &[Result<LineChange, BadLine>],
    done: Vec<Result<(), LineRefusal>>,
) -> Vec<LineResultView> {
    let mut done = done.into_iter();
    let result = |(line, parsed): (&LineBody, &Result<LineChange, BadLine>)| {
        let view = |status, code, detail| LineResultView { sku: line.sku.clone(), status, code, detail };
        match parsed {
            Err((code, detail)) => view("refused", Some(*code), Some(detail.clone())),
            Ok(change) => match done.next() {
                Some(Err(refusal)) => view("refused", Some(line_code(&refusal)), Some(refusal.to_string())),
                _ if change.quantity.is_none() => view("removed", None, None),
                _ => view("set", None, None),
            },
        }
    };
    lines.iter().zip(parsed).map(result).collect()
}
