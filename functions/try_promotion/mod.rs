//! `POST /api/v1/manage/promotions/{promotionId}/try`: what a promotion, stored or in the body, would do to a
//! basket, with every reason why others do nothing. Changes nothing.
use offpeak_domain::promotion::PromotionId;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::promotions::dry_run,
    views::promotion::{TryBody, TryView},
};

pub(super) const ROOM: Room<App> =
    Room::http("try_promotion", include_str!("function.json")).post(|app, call| answering(try_it(app, call)));

async fn try_it(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_promotions").await?;
    let id = PromotionId::parse(call.param("promotionId"));
    let id = id.map_err(|err| Problem::invalid("promotionId", err.to_string()))?;
    let run = call.json::<TryBody>()?.parse(id)?;
    let dry = dry_run::try_promotion(&app.shop, &run).await?;
    Reply::ok(&TryView::from(&dry))
}
