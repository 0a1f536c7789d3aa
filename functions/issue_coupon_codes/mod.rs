//! `POST /api/v1/manage/promotions/{promotionId}/codes`: single-use codes, up to 10,000 in one batch.
//!
//! Staff name the batch; sending it again answers the same codes. 201 when all of them stand; 202 when the time
//! was too short: send the same again and it goes on.
use http::StatusCode;
use offpeak_domain::promotion::PromotionId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::promotions::codes::{WantedCodes, make_codes},
    views::promotion::CodesView,
};

pub(super) const ROOM: Room<App> =
    Room::http("issue_coupon_codes", include_str!("function.json")).post(|app, call| answering(issue(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueCouponCodesBody {
    batch: String,
    count: u32,
    #[serde(default)]
    prefix: String,
}

async fn issue(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_promotions").await?;
    let id = PromotionId::parse(call.param("promotionId"));
    let promotion = id.map_err(|err| Problem::invalid("promotionId", err.to_string()))?;
    let IssueCouponCodesBody { batch, count, prefix } = call.json()?;
    let wanted = WantedCodes { promotion, batch, count, prefix: prefix.to_ascii_uppercase() };
    let made = make_codes(&app.shop, &wanted, &caller.subject).await?;
    let status = if made.is_complete() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Reply::json(status, &CodesView::from(&made))
}
