//! What stands inside the document `order` beside the purchase itself: units, fulfilments, returns, refunds
//! and what is still owed. Added after the first orders were written, so the order reads without them.
use offpeak_domain::{
    order::{
        Allocation, Fulfilment, FulfilmentState, LineAsk, LineUnits, Parcel, Refund, RefundCause, RefundLine,
        RefundState, Return, ReturnLine, ReturnState, Work, WorkKind,
    },
    sku::Sku,
    stock::{Location, Part},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::super::{Minor, location_text, sku_text};

/// A stored form whose members are those of the domain's type, by name.
macro_rules! same_members {
    ($document:ident = $domain:ident { $($member:ident: $kind:ty),+ $(,)? }) => {
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $document { $($member: $kind),+ }

        impl From<&$domain> for $document {
            fn from(it: &$domain) -> $document {
                $document { $($member: it.$member.clone().into()),+ }
            }
        }

        impl From<$document> for $domain {
            fn from(it: $document) -> $domain {
                $domain { $($member: it.$member.into()),+ }
            }
        }
    };
}

same_members!(
    UnitsDocument = LineUnits {
        ordered: u32,
        cancelled: u32,
        shipped: u32,
        returned: u32,
        captured: u32,
        waived: u32,
        refunded: u32,
    }
);
same_members!(AskDocument = LineAsk { line: usize, units: u32 });
same_members!(
    ReturnLineDocument =
        ReturnLine { line: usize, requested: u32, received: u32, restock: u32, damaged: u32, kept: u32 }
);
same_members!(ParcelDocument = Parcel {
    carrier: String,
    tracking_number: Option<String>,
    tracking_url: Option<String>,
});
same_members!(RefundLineDocument = RefundLine { line: usize, units: u32, amount: Minor });

impl From<i64> for Minor {
    fn from(minor: i64) -> Minor {
        Minor(minor)
    }
}

impl From<Minor> for i64 {
    fn from(minor: Minor) -> i64 {
        minor.0
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartDocument {
    #[serde(with = "location_text")]
    location: Location,
    units: i64,
}

impl From<&Part> for PartDocument {
    fn from(it: &Part) -> PartDocument {
        PartDocument { location: it.location.clone(), units: it.units }
    }
}

impl From<PartDocument> for Part {
    fn from(it: PartDocument) -> Part {
        Part { location: it.location, units: it.units }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllocationDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    parts: Vec<PartDocument>,
}

impl From<&Allocation> for AllocationDocument {
    fn from(it: &Allocation) -> AllocationDocument {
        AllocationDocument { sku: it.sku.clone(), parts: documents(&it.parts) }
    }
}

impl From<AllocationDocument> for Allocation {
    fn from(it: AllocationDocument) -> Allocation {
        Allocation { sku: it.sku, parts: domain(it.parts) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FulfilmentDocument {
    id: String,
    state: String,
    lines: Vec<AskDocument>,
    parts: Vec<AllocationDocument>,
    parcels: Vec<ParcelDocument>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    shipped_at: Option<OffsetDateTime>,
}

impl From<&Fulfilment> for FulfilmentDocument {
    fn from(it: &Fulfilment) -> FulfilmentDocument {
        FulfilmentDocument {
            id: it.id.clone(),
            state: it.state.name().to_owned(),
            lines: documents(&it.lines),
            parts: documents(&it.parts),
            parcels: documents(&it.parcels),
            created_at: it.created_at,
            shipped_at: it.shipped_at,
        }
    }
}

impl FulfilmentDocument {
    /// The reason, if what is stored breaks a rule of the domain.
    pub(super) fn into_domain(self) -> Result<Fulfilment, String> {
        Ok(Fulfilment {
            state: FulfilmentState::parse(&self.state).ok_or_else(|| format!("fulfilment `{}`", self.state))?,
            id: self.id,
            lines: domain(self.lines),
            parts: domain(self.parts),
            parcels: domain(self.parcels),
            created_at: self.created_at,
            shipped_at: self.shipped_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnDocument {
    id: String,
    state: String,
    lines: Vec<ReturnLineDocument>,
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl From<&Return> for ReturnDocument {
    fn from(it: &Return) -> ReturnDocument {
        ReturnDocument {
            id: it.id.clone(),
            state: it.state.name().to_owned(),
            lines: documents(&it.lines),
            reason: it.reason.clone(),
            at: it.at,
        }
    }
}

impl ReturnDocument {
    /// The reason, if what is stored breaks a rule of the domain.
    pub(super) fn into_domain(self) -> Result<Return, String> {
        Ok(Return {
            state: ReturnState::parse(&self.state).ok_or_else(|| format!("return `{}`", self.state))?,
            id: self.id,
            lines: domain(self.lines),
            reason: self.reason,
            at: self.at,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundDocument {
    id: String,
    amount: Minor,
    lines: Vec<RefundLineDocument>,
    shipping: Option<Minor>,
    cause: CauseDocument,
    state: RefundStateDocument,
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum CauseDocument {
    Asked,
    Cancelled,
    Returned(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RefundStateDocument {
    Pending,
    Succeeded,
    Failed { reason: String },
}

impl From<&Refund> for RefundDocument {
    fn from(it: &Refund) -> RefundDocument {
        RefundDocument {
            id: it.id.clone(),
            amount: it.amount.into(),
            lines: documents(&it.lines),
            shipping: it.shipping.map(Minor),
            cause: match &it.cause {
                RefundCause::Asked => CauseDocument::Asked,
                RefundCause::Cancelled => CauseDocument::Cancelled,
                RefundCause::Returned(id) => CauseDocument::Returned(id.clone()),
            },
            state: match &it.state {
                RefundState::Pending => RefundStateDocument::Pending,
                RefundState::Succeeded => RefundStateDocument::Succeeded,
                RefundState::Failed { reason } => RefundStateDocument::Failed { reason: reason.clone() },
            },
            reason: it.reason.clone(),
            at: it.at,
        }
    }
}

impl From<RefundDocument> for Refund {
    fn from(it: RefundDocument) -> Refund {
        Refund {
            id: it.id,
            amount: it.amount.0,
            lines: domain(it.lines),
            shipping: it.shipping.map(|it| it.0),
            cause: match it.cause {
                CauseDocument::Asked => RefundCause::Asked,
                CauseDocument::Cancelled => RefundCause::Cancelled,
                CauseDocument::Returned(id) => RefundCause::Returned(id),
            },
            state: match it.state {
                RefundStateDocument::Pending => RefundState::Pending,
                RefundStateDocument::Succeeded => RefundState::Succeeded,
                RefundStateDocument::Failed { reason } => RefundState::Failed { reason },
            },
            reason: it.reason,
            at: it.at,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkDocument {
    id: String,
    kind: WorkKindDocument,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WorkKindDocument {
    Ship {
        #[serde(with = "sku_text")]
        sku: Sku,
        parts: Vec<PartDocument>,
    },
    GiveBack {
        #[serde(with = "sku_text")]
        sku: Sku,
        parts: Vec<PartDocument>,
    },
    Restock {
        #[serde(with = "sku_text")]
        sku: Sku,
        #[serde(with = "location_text")]
        location: Location,
        units: i64,
    },
    Capture {
        amount: Minor,
    },
    Void,
    Refund {
        refund: String,
        amount: Minor,
    },
    ReleaseClaims,
    ReleaseUnits,
}

impl From<&Work> for WorkDocument {
    fn from(work: &Work) -> WorkDocument {
        let kind = match &work.kind {
            WorkKind::Ship { sku, parts } => WorkKindDocument::Ship { sku: sku.clone(), parts: documents(parts) },
            WorkKind::GiveBack { sku, parts } => {
                WorkKindDocument::GiveBack { sku: sku.clone(), parts: documents(parts) }
            }
            WorkKind::Restock { sku, location, units } => {
                WorkKindDocument::Restock { sku: sku.clone(), location: location.clone(), units: *units }
            }
            WorkKind::Capture { amount } => WorkKindDocument::Capture { amount: Minor(*amount) },
            WorkKind::Void => WorkKindDocument::Void,
            WorkKind::Refund { refund, amount } => {
                WorkKindDocument::Refund { refund: refund.clone(), amount: Minor(*amount) }
            }
            WorkKind::ReleaseClaims => WorkKindDocument::ReleaseClaims,
            WorkKind::ReleaseUnits => WorkKindDocument::ReleaseUnits,
        };
        WorkDocument { id: work.id.clone(), kind, at: work.at }
    }
}

impl From<WorkDocument> for Work {
    fn from(work: WorkDocument) -> Work {
        let kind = match work.kind {
            WorkKindDocument::Ship { sku, parts } => WorkKind::Ship { sku, parts: domain(parts) },
            WorkKindDocument::GiveBack { sku, parts } => WorkKind::GiveBack { sku, parts: domain(parts) },
            WorkKindDocument::Restock { sku, location, units } => WorkKind::Restock { sku, location, units },
            WorkKindDocument::Capture { amount } => WorkKind::Capture { amount: amount.0 },
            WorkKindDocument::Void => WorkKind::Void,
            WorkKindDocument::Refund { refund, amount } => WorkKind::Refund { refund, amount: amount.0 },
            WorkKindDocument::ReleaseClaims => WorkKind::ReleaseClaims,
            WorkKindDocument::ReleaseUnits => WorkKind::ReleaseUnits,
        };
        Work { id: work.id, kind, at: work.at }
    }
}

fn documents<'a, T, D: From<&'a T>>(items: &'a [T]) -> Vec<D> {
    items.iter().map(D::from).collect()
}

fn domain<D, T: From<D>>(items: Vec<D>) -> Vec<T> {
    items.into_iter().map(T::from).collect()
}
