//! `GET` and `PUT /api/v1/manage/price-lists/{priceListId}`: one price list, for staff.
//!
//! A write names what it saw (`If-Match`, `*` for whatever is there, also nothing). It holds for completions at
//! once and for carts within seconds.
use offpeak_domain::{code::Code, price_list::PriceListId};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::promotions::manage,
    views::promotion::{PriceListForm, WrittenView},
};

/// Enough for as many prices as a list may have, with some tiers.
const BODY_MAX_BYTES: usize = 1024 * 1024;

pub(super) const ROOM: Room<App> = Room::http("manage_price_lists", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(put(app, call)))
    .body_max(BODY_MAX_BYTES);

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_promotions").await?;
    let id = id(&call)?;
    let seen = manage::price_list(&app.shop, &id).await?;
    let seen = seen.ok_or_else(|| Problem::new(Code::NotFound, "There is no such price list. Make it with PUT."))?;
    Ok(Reply::ok(&WrittenView::from(seen.value))?.etag(&seen.etag.0))
}

async fn put(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_promotions").await?;
    let id = id(&call)?;
    let form: PriceListForm = call.json()?;
    let Some(expected) = call.if_match()? else {
        return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *."));
    };
    let seen = manage::put_price_list(&app.shop, &id, &form, expected, &caller.subject).await?;
    Ok(Reply::ok(&WrittenView::from(seen.value))?.etag(&seen.etag.0))
}

fn id(call: &Call) -> Result<PriceListId, Problem> {
    PriceListId::parse(call.param("priceListId")).map_err(|err| Problem::invalid("priceListId", err.to_string()))
}
