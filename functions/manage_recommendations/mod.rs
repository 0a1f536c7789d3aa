//! `GET` and `PUT /api/v1/manage/recommendations`: how the model of recommendations was made the last time, which ones
//! are kept, which answers, and what came of recommendations on the last days; and a person's word that an older model
//! is to answer: `{"hold": "<version>"}`, or that the next one may: `{"hold": null}`.
//!
//! A write names what it saw (`If-Match`, `*` for whatever it is).
use offpeak_domain::code::Code;
use serde::{Deserialize, Serialize};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::recommendations::{
        models::{Hold, KeptModel, ModelsError, Standing, hold, standing},
        refresh::{DayOutcomes, Refresh, last_outcomes, last_refresh},
    },
};

pub(super) const ROOM: Room<App> = Room::http("manage_recommendations", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(change(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManageRecommendationsBody {
    /// Null releases, so that it must be there.
    #[serde(deserialize_with = "Option::deserialize")]
    hold: Option<String>,
}

#[derive(Serialize)]
struct ManageRecommendationsView<'a> {
    #[serde(flatten)]
    last: Refresh,
    outcomes: Vec<DayOutcomes>,
    #[serde(flatten)]
    models: ModelsView<'a>,
}

#[derive(Serialize)]
struct ModelsView<'a> {
    /// The version that answers.
    current: Option<&'a str>,
    hold: Option<&'a Hold>,
    kept: Vec<&'a KeptModel>,
}

impl<'a> From<&'a Standing> for ModelsView<'a> {
    fn from(of: &'a Standing) -> ModelsView<'a> {
        ModelsView { current: of.current.as_deref(), hold: of.hold.as_ref(), kept: of.kept.iter().collect() }
    }
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_reports").await?;
    let last = last_refresh(&app.shop).await?.ok_or_else(|| Problem::new(Code::NotFound, "No model was made yet."))?;
    let models = standing(&app.shop).await?;
    let outcomes = last_outcomes(&app.shop).await?;
    let view = ManageRecommendationsView { last: last.value, outcomes, models: ModelsView::from(&models) };
    Ok(with_etag(Reply::ok(&view)?, &models))
}

async fn change(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_settings").await?;
    let body: ManageRecommendationsBody = call.json()?;
    let expected = match call.if_match()? {
        Some("*") => None,
        Some(etag) => Some(etag),
        None => return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *.")),
    };
    let models = hold(&app.shop, body.hold.as_deref(), expected, &caller.subject).await?;
    Ok(with_etag(Reply::ok(&ModelsView::from(&models))?, &models))
}

fn with_etag(reply: Reply, models: &Standing) -> Reply {
    match &models.etag {
        Some(etag) => reply.etag(&etag.0),
        None => reply,
    }
}

impl From<ModelsError> for Problem {
    fn from(err: ModelsError) -> Problem {
        match err {
            ModelsError::Unknown(_) => Problem::invalid("hold", "a version that GET lists as kept, or null"),
            ModelsError::Changed => Problem::new(Code::EtagMismatch, "The models have changed since you read them."),
            ModelsError::Store(err) => err.into(),
            ModelsError::Publication(err) => {
                tracing::warn!(error = &err as &dyn std::error::Error, "The models cannot be reached.");
                Problem::new(Code::Unavailable, "The models cannot be reached now. Send it again.").retry_after(1)
            }
        }
    }
}
