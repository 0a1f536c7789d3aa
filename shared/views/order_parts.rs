//! What stands inside an order as its API shows it: lines with their units, fulfilments, returns, refunds, the
//! timeline. Lines are named by their number, from 1.
use offpeak_domain::{
    money::Money,
    order::{
        Actor, Allocation, Entry, Fulfilment, LineAsk, Order, Parcel, Refund, RefundCause, RefundState, Return,
        ReturnLine,
    },
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    checkout::{PricedLineView, line_view},
    money::MoneyView,
};

#[derive(Serialize)]
pub struct OrderLineView {
    /// What fulfilments, returns and refunds call it.
    pub line: usize,
    #[serde(flatten)]
    pub priced: PricedLineView,
    pub units: UnitsView,
}

/// `ordered = open + cancelled + shipped`; of those shipped, `returned` came back.
#[derive(Serialize)]
pub struct UnitsView {
    pub ordered: u32,
    pub open: u32,
    pub cancelled: u32,
    pub shipped: u32,
    pub returned: u32,
    pub refunded: u32,
}

#[derive(Serialize)]
pub struct LineUnitsView {
    pub line: usize,
    pub quantity: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FulfilmentView {
    pub id: String,
    pub status: &'static str,
    pub lines: Vec<LineUnitsView>,
    pub parcels: Vec<ParcelView>,
    pub created_at: Option<String>,
    pub shipped_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParcelView {
    pub carrier: String,
    #[serde(default)]
    pub tracking_number: Option<String>,
    #[serde(default)]
    pub tracking_url: Option<String>,
}

#[derive(Serialize)]
pub struct ReturnView {
    pub id: String,
    pub status: &'static str,
    pub lines: Vec<ReturnLineView>,
    pub reason: Option<String>,
    pub at: Option<String>,
}

/// `restock + damaged` of the received units were looked at; `kept` ones need not come back.
#[derive(Serialize)]
pub struct ReturnLineView {
    pub line: usize,
    pub quantity: u32,
    pub received: u32,
    pub restock: u32,
    pub damaged: u32,
    pub kept: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundView {
    pub id: String,
    pub status: &'static str,
    pub amount: MoneyView,
    pub lines: Vec<LineUnitsView>,
    pub shipping: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_id: Option<String>,
    /// Why it failed, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub at: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    pub number: u32,
    pub at: Option<String>,
    pub kind: &'static str,
    pub actor: ActorView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<MoneyView>,
    pub lines: Vec<LineUnitsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize)]
pub struct ActorView {
    pub kind: &'static str,
    /// Only for staff to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Where open units are promised; for staff.
#[derive(Serialize)]
pub struct AllocationView {
    pub sku: String,
    pub parts: Vec<PartView>,
}

#[derive(Serialize)]
pub struct PartView {
    pub location: String,
    pub units: i64,
}

pub(super) fn lines(order: &Order) -> Vec<OrderLineView> {
    let lines = order.priced.lines.iter().zip(&order.units).enumerate();
    let view = |(place, (priced, units)): (usize, (_, &offpeak_domain::order::LineUnits))| OrderLineView {
        line: place + 1,
        priced: line_view(priced),
        units: UnitsView {
            ordered: units.ordered,
            open: units.open(),
            cancelled: units.cancelled,
            shipped: units.shipped,
            returned: units.returned,
            refunded: units.refunded,
        },
    };
    lines.map(view).collect()
}

impl From<&LineAsk> for LineUnitsView {
    fn from(it: &LineAsk) -> LineUnitsView {
        LineUnitsView { line: it.line + 1, quantity: it.units }
    }
}

impl From<&Parcel> for ParcelView {
    fn from(it: &Parcel) -> ParcelView {
        ParcelView {
            carrier: it.carrier.clone(),
            tracking_number: it.tracking_number.clone(),
            tracking_url: it.tracking_url.clone(),
        }
    }
}

impl From<&Fulfilment> for FulfilmentView {
    fn from(it: &Fulfilment) -> FulfilmentView {
        FulfilmentView {
            id: it.id.clone(),
            status: it.state.name(),
            lines: it.lines.iter().map(Into::into).collect(),
            parcels: it.parcels.iter().map(Into::into).collect(),
            created_at: rfc3339(it.created_at),
            shipped_at: it.shipped_at.and_then(rfc3339),
        }
    }
}

impl From<&ReturnLine> for ReturnLineView {
    fn from(it: &ReturnLine) -> ReturnLineView {
        ReturnLineView {
            line: it.line + 1,
            quantity: it.requested,
            received: it.received,
            restock: it.restock,
            damaged: it.damaged,
            kept: it.kept,
        }
    }
}

impl From<&Return> for ReturnView {
    fn from(it: &Return) -> ReturnView {
        ReturnView {
            id: it.id.clone(),
            status: it.state.name(),
            lines: it.lines.iter().map(Into::into).collect(),
            reason: it.reason.clone(),
            at: rfc3339(it.at),
        }
    }
}

impl From<&Allocation> for AllocationView {
    fn from(it: &Allocation) -> AllocationView {
        let part = |it: &offpeak_domain::stock::Part| PartView { location: it.location.to_string(), units: it.units };
        AllocationView { sku: it.sku.to_string(), parts: it.parts.iter().map(part).collect() }
    }
}

pub(super) fn refund_view(order: &Order, it: &Refund) -> RefundView {
    let money = |minor| MoneyView::from(Money::new(minor, order.priced.currency));
    let (status, failure) = match &it.state {
        RefundState::Pending => ("pending", None),
        RefundState::Succeeded => ("succeeded", None),
        RefundState::Failed { reason } => ("failed", Some(reason.clone())),
    };
    RefundView {
        id: it.id.clone(),
        status,
        amount: money(it.amount),
        lines: it.lines.iter().map(|it| LineUnitsView { line: it.line + 1, quantity: it.units }).collect(),
        shipping: it.shipping.map(money),
        return_id: match &it.cause {
            RefundCause::Returned(id) => Some(id.clone()),
            RefundCause::Asked | RefundCause::Cancelled => None,
        },
        failure,
        at: rfc3339(it.at),
    }
}

/// For staff with who did it and every note; for buyers with their own notes only.
pub(super) fn entry_view(it: &Entry, staff: bool) -> EntryView {
    let (kind, subject) = match &it.actor {
        Actor::Customer => ("customer", None),
        Actor::Staff(subject) => ("staff", Some(subject.clone())),
        Actor::System => ("system", None),
    };
    let own = staff || it.actor == Actor::Customer;
    EntryView {
        number: it.number,
        at: rfc3339(it.at),
        kind: it.kind.name(),
        actor: ActorView { kind, subject: subject.filter(|_| staff) },
        about: it.subject.clone(),
        amount: it.amount.map(Into::into),
        lines: it.lines.iter().map(Into::into).collect(),
        note: it.note.clone().filter(|_| own),
    }
}

pub(super) fn rfc3339(at: OffsetDateTime) -> Option<String> {
    at.format(&Rfc3339).ok()
}
