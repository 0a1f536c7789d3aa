//! How orders are changed over HTTP: what is sent, and the order as it is answered.
//!
//! A call that may move money carries an `Idempotency-Key`; one that sets a stored thing to a state carries
//! `If-Match`. Every change answers the order as it then stands, with `changed`, the id of what was made.
use bytes::Bytes;
use http::StatusCode;
use offpeak_domain::{
    code::Code,
    ids::OrderId,
    order::{Entry, LineAsk, Order, Parcel},
    stock::Location,
};
use serde::{Deserialize, Serialize};

use super::{
    order::OrderView,
    order_parts::{AllocationView, EntryView, ParcelView, entry_view},
};
use crate::shared::{
    documents::Seen,
    host::{call::Call, problem::Problem},
    operations::{
        kept_answers::Rendered,
        orders::{Asked, Caller},
    },
};

/// Longest text of a person about a change, in characters.
pub const NOTE_MAX: usize = 500;
/// Longest name of a carrier and longest tracking number, in characters.
const NAME_MAX: usize = 100;
const URL_MAX: usize = 500;

/// Units of one line, by its number.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    pub line: usize,
    pub quantity: u32,
}

/// An order for staff.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedOrderView {
    #[serde(flatten)]
    pub order: OrderView,
    pub on_hold: Option<String>,
    /// Where open units are promised.
    pub allocations: Vec<AllocationView>,
    /// What could be refunded now, in minor units.
    pub refundable: String,
    /// Movements of stock and money that are still to be done.
    pub pending_works: usize,
    /// What the change made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

impl ManagedOrderView {
    pub fn new(order: &Order, changed: Option<&str>) -> ManagedOrderView {
        ManagedOrderView {
            order: OrderView::from(order),
            on_hold: order.on_hold.clone(),
            allocations: order.allocations.iter().map(Into::into).collect(),
            refundable: order.refundable().to_string(),
            pending_works: order.works.len(),
            changed: changed.map(str::to_owned),
        }
    }

    /// With all that happened to it, and who did it.
    #[must_use]
    pub fn with_timeline(mut self, entries: &[Entry]) -> ManagedOrderView {
        let entries: Vec<EntryView> = entries.iter().map(|it| entry_view(it, true)).collect();
        self.order.timeline = Some(entries);
        self
    }
}

/// What a room passes on: who asks, for which order, and which request it is.
///
/// # Errors
/// `not_found` for what is no id, `idempotency_key_missing`, `invalid_parameter`.
pub fn asked_once(call: &Call, caller: Caller) -> Result<Asked, Problem> {
    let idempotency_key = Some(call.idempotency_key()?.to_owned());
    let if_match = call.if_match()?.map(str::to_owned);
    Ok(Asked { order: order_id(call)?, caller, idempotency_key, if_match, request: request(call) })
}

/// As [`asked_once`], for a call that sets a thing to a state.
///
/// # Errors
/// `precondition_required`, `not_found`, `invalid_parameter`.
pub fn asked_for_version(call: &Call, caller: Caller) -> Result<Asked, Problem> {
    let Some(if_match) = call.if_match()? else {
        return Err(Problem::new(Code::PreconditionRequired, "Send the order's ETag you read as If-Match, or *."));
    };
    let if_match = Some(if_match.to_owned());
    Ok(Asked { order: order_id(call)?, caller, idempotency_key: None, if_match, request: request(call) })
}

fn order_id(call: &Call) -> Result<OrderId, Problem> {
    Ok(OrderId::parse(call.param("orderId"))?)
}

/// Method, path and the body with its members in one order: equal requests are equal texts.
fn request(call: &Call) -> String {
    let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
    format!("{}\n{}\n{body}", call.method, call.path)
}

/// # Errors
/// `validation_failed` for a line 0.
pub fn line_asks(lines: &[LineBody]) -> Result<Vec<LineAsk>, Problem> {
    lines.iter().map(|it| Ok(LineAsk { line: line_place(it.line)?, units: it.quantity })).collect()
}

/// # Errors
/// `validation_failed` for a line 0.
pub fn line_place(line: usize) -> Result<usize, Problem> {
    line.checked_sub(1).ok_or_else(|| Problem::invalid("lines", "lines are numbered from 1, as the order shows them"))
}

/// # Errors
/// `validation_failed` for a text that is too long.
pub fn note(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(text) if text.chars().count() > NOTE_MAX => {
            Err(Problem::invalid(field, format!("at most {NOTE_MAX} characters")))
        }
        _ => Ok(text),
    }
}

/// A text that says something.
///
/// # Errors
/// `validation_failed` for one that is empty, too long or has control characters other than line ends.
pub fn words(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let plain = text.chars().all(|it| !it.is_control() || matches!(it, '\n' | '\t'));
    if (1..=NOTE_MAX).contains(&text.chars().count()) && plain {
        return Ok(text.to_owned());
    }
    Err(Problem::invalid(field, format!("1 to {NOTE_MAX} printable characters")))
}

/// # Errors
/// `validation_failed` for what is no location.
pub fn location(text: Option<&str>) -> Result<Option<Location>, Problem> {
    text.map(|it| Location::parse(it).map_err(|err| Problem::invalid("location", err.to_string()))).transpose()
}

/// # Errors
/// `validation_failed` for texts that are empty or too long, or an address that is not `http(s)`.
pub fn parcels(parcels: Vec<ParcelView>) -> Result<Vec<Parcel>, Problem> {
    let name = |text: &str| !text.trim().is_empty() && text.chars().count() <= NAME_MAX;
    let parcel = |it: ParcelView| {
        if !name(&it.carrier) || it.tracking_number.as_deref().is_some_and(|it| !name(it)) {
            return Err(Problem::invalid(
                "parcels",
                format!("carrier and trackingNumber have 1 to {NAME_MAX} characters"),
            ));
        }
        let web = |it: &str| it.len() <= URL_MAX && (it.starts_with("https://") || it.starts_with("http://"));
        if it.tracking_url.as_deref().is_some_and(|it| !web(it)) {
            return Err(Problem::invalid("parcels", format!("trackingUrl is http(s), at most {URL_MAX} characters")));
        }
        Ok(Parcel { carrier: it.carrier, tracking_number: it.tracking_number, tracking_url: it.tracking_url })
    };
    parcels.into_iter().map(parcel).collect()
}

/// The order as staff sees it after a change.
pub fn render_for_staff(order: &Seen<Order>, changed: Option<&str>) -> Rendered {
    rendered(&ManagedOrderView::new(&order.value, changed))
}

/// The order as its buyer sees it after a change.
pub fn render_for_buyer(order: &Seen<Order>, _changed: Option<&str>) -> Rendered {
    rendered(&OrderView::from(&order.value))
}

/// These shapes have string keys only, so they always have a JSON form.
fn rendered(view: &impl Serialize) -> Rendered {
    let body = serde_json::to_vec(view).unwrap_or_default();
    Rendered { status: StatusCode::OK.as_u16(), body: Bytes::from(body) }
}
