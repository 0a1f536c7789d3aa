//! `GET` and `PUT /api/v1/manage/inventory-sync`: how the last pull of the inventory feed went, and a person's
//! word that a feed which differs much is right: `{"approve": "<fingerprint>"}`, for that very content.
use offpeak_domain::code::Code;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::sync_inventory::{ApproveError, InventorySync, Seen, SyncReport, SyncState, approve_sync, last_sync},
};

pub(super) const ROOM: Room<App> = Room::http("manage_inventory_sync", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(approve(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManageInventorySyncBody {
    approve: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManageInventorySyncView<'a> {
    state: SyncState,
    /// Names the content; what is approved.
    fingerprint: &'a str,
    at: Option<String>,
    approved: bool,
    failure: Option<&'a str>,
    report: &'a SyncReport,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_stock").await?;
    let sync = last_sync(&app.shop).await?;
    view(&sync.ok_or_else(|| Problem::new(Code::NotFound, "No inventory feed was pulled yet."))?)
}

async fn approve(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_stock").await?;
    let body: ManageInventorySyncBody = call.json()?;
    let expected = match call.if_match()? {
        Some("*") => None,
        Some(etag) => Some(etag),
        None => return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *.")),
    };
    view(&approve_sync(&app.shop, &body.approve, expected, &caller.subject).await?)
}

fn view(sync: &Seen<InventorySync>) -> Result<Reply, Problem> {
    let it = &sync.value;
    let view = ManageInventorySyncView {
        state: it.state,
        fingerprint: &it.fingerprint,
        at: it.at.and_then(|at| at.format(&Rfc3339).ok()),
        approved: it.approved.as_deref() == Some(it.fingerprint.as_str()),
        failure: it.failure.as_deref(),
        report: &it.report,
    };
    Ok(Reply::ok(&view)?.etag(&sync.etag.0))
}

impl From<ApproveError> for Problem {
    fn from(err: ApproveError) -> Problem {
        match err {
            ApproveError::NotHeld => {
                Problem::invalid("approve", "the fingerprint of the feed that is held, as GET shows it")
            }
            ApproveError::Changed => Problem::new(Code::EtagMismatch, "The report has changed since you read it."),
            ApproveError::Store(err) => err.into(),
        }
    }
}
