//! `GET /api/v1/manage/verify/{jobId}`: how far a check of the store is, and what it has found so far.
//!
//! 202 while it goes on, 200 once it is done. Where no message drives it on, asking does.
use offpeak_domain::ids::JobId;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::verify::find_job,
    views::verify::job_reply,
};

pub(super) const ROOM: Room<App> =
    Room::http("verify_progress", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_reports").await?;
    let job = find_job(&app.shop, JobId::parse(call.param("jobId"))?).await?;
    job_reply(&job)
}
