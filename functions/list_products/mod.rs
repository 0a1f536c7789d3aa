//! `GET /api/v1/products?category=&q=&sort=&limit=&after=`: published products, a page at a time.
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
    operations::{
        list_products::{ListProducts, ListProductsError},
        offers::FRESH,
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("list_products", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListProductsQuery {
    category: Option<String>,
    q: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let ListProductsQuery { category, q, sort, limit, after } = call.query()?;
    let asked = ListProducts { category, q, sort, limit, after };
    let list = app.shop.catalogue.list(&asked).await?;
    Ok(Reply::ready(StatusCode::OK, list).public_for(FRESH.as_secs()))
}

impl From<ListProductsError> for Problem {
    fn from(err: ListProductsError) -> Problem {
        match err {
            ListProductsError::Parameter { .. } => Problem::new(Code::InvalidParameter, err.to_string()),
            ListProductsError::Store(err) => err.into(),
        }
    }
}
