//! `GET` and `PUT /api/v1/manage/promotions/{promotionId}`: one promotion, for staff.
//!
//! A write names what it saw (`If-Match`, `*` for whatever is there, also nothing), so two people cannot undo
//! each other unseen. It holds for completions at once and for carts within seconds.
use offpeak_domain::{code::Code, promotion::PromotionId};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::promotions::manage,
    views::promotion::{PromotionForm, WrittenView},
};

pub(super) const ROOM: Room<App> = Room::http("manage_promotions", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(put(app, call)));

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_promotions").await?;
    let id = id(&call)?;
    let seen = manage::promotion(&app.shop, &id).await?;
    let seen = seen.ok_or_else(|| Problem::new(Code::NotFound, "There is no such promotion. Make it with PUT."))?;
    Ok(Reply::ok(&WrittenView::from(seen.value))?.etag(&seen.etag.0))
}

async fn put(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_promotions").await?;
    let id = id(&call)?;
    let form: PromotionForm = call.json()?;
    let Some(expected) = call.if_match()? else {
        return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *."));
    };
    let seen = manage::put_promotion(&app.shop, &id, &form, expected, &caller.subject).await?;
    Ok(Reply::ok(&WrittenView::from(seen.value))?.etag(&seen.etag.0))
}

fn id(call: &Call) -> Result<PromotionId, Problem> {
    PromotionId::parse(call.param("promotionId")).map_err(|err| Problem::invalid("promotionId", err.to_string()))
}
