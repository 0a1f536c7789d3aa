//! `GET /api/v1/manage/recommendations`: how the model of recommendations was made the last time, and which one answers,
//! and what came of recommendations on the last days.
use offpeak_domain::code::Code;
use serde::Serialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::recommendations::refresh::{DayOutcomes, Refresh, last_outcomes, last_refresh},
};

pub(super) const ROOM: Room<App> =
    Room::http("manage_recommendations", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

#[derive(Serialize)]
struct ManageRecommendationsView {
    #[serde(flatten)]
    last: Refresh,
    outcomes: Vec<DayOutcomes>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_reports").await?;
    let last = last_refresh(&app.shop).await?.ok_or_else(|| Problem::new(Code::NotFound, "No model was made yet."))?;
    Reply::ok(&ManageRecommendationsView { last: last.value, outcomes: last_outcomes(&app.shop).await? })
}
