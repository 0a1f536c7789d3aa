//! `GET /api/v1/products/{slug}`: one product with its variants, prices and availability.
//!
//! A warm handler answers from memory: no store operation, no JSON written.
use http::StatusCode;
use offpeak_domain::code::Code;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::offers::FRESH,
};

pub(super) const ROOM: Room<App> =
    Room::http("get_product", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let Some(page) = app.shop.catalogue.product(call.param("slug")).await? else {
        return Err(Problem::new(Code::NotFound, "No product has this slug."));
    };
    if call.has_version(&page.etag) {
        return Ok(Reply::not_modified(&page.etag).public_for(FRESH.as_secs()));
    }
    Ok(Reply::ready(StatusCode::OK, page.json.clone()).etag(&page.etag).public_for(FRESH.as_secs()))
}
