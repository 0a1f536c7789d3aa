//! `GET /api/health/live` and `GET /api/health/ready`.
//!
//! `live` says that the process answers; `ready` that the store does and that a catalogue is loaded.
use offpeak_domain::code::Code;
use serde_json::json;

use crate::shared::{
    app::App,
    host::{
        admission::Traffic,
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::readiness::is_ready,
};

pub(super) const ROOM: Room<App> = Room::http("health", include_str!("function.json"))
    .counted_as(Traffic::Free)
    .get(|app, call| answering(handle(app, call)));

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    match call.param("probe") {
        "live" => Reply::ok(&json!({ "status": "live" })),
        "ready" if is_ready(&app.shop).await? => Reply::ok(&json!({ "status": "ready" })),
        "ready" => Err(Problem::new(Code::Unavailable, "No catalogue is loaded yet.").retry_after(2)),
        _ => Err(Problem::new(Code::NotFound, "The probes are `live` and `ready`.")),
    }
}
