//! `GET /api/v1/recommendations?surface=&sessionId=&sku=&cart=&seen=&category=&limit=&consent=`: products to show next, each
//! with its reason.
//!
//! What a session has clicked a moment ago counts already. Nobody may keep the answer: it is this shopper's.
use http::StatusCode;
use offpeak_domain::code::Code;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::recommendations::{Recommend, RecommendError, recommend},
};

pub(super) const ROOM: Room<App> =
    Room::http("recommend", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecommendQuery {
    surface: Option<String>,
    session_id: Option<String>,
    sku: Option<String>,
    cart: Option<String>,
    seen: Option<String>,
    category: Option<String>,
    limit: Option<String>,
    consent: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let RecommendQuery { surface, session_id, sku, cart, seen, category, limit, consent } = call.query()?;
    let ask = Recommend { surface, session_id, sku, cart, seen, category, limit, consent };
    Ok(Reply::ready(StatusCode::OK, recommend(&app.shop, &ask).await?))
}

impl From<RecommendError> for Problem {
    fn from(err: RecommendError) -> Problem {
        match err {
            RecommendError::Parameter { name, reason } => Problem::invalid(name, reason),
            RecommendError::Late => Problem::new(Code::Unavailable, err.to_string()).retry_after(1),
            RecommendError::Listing(err) => err.into(),
            RecommendError::Store(err) => err.into(),
        }
    }
}
