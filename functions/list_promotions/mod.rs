//! `GET /api/v1/manage/promotions?limit=&after=`: promotions by id, page by page, for staff.
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
    operations::promotions::manage,
    views::promotion::{PromotionForm, WrittenView},
};

pub(super) const ROOM: Room<App> =
    Room::http("list_promotions", include_str!("function.json")).get(|app, call| answering(list(app, call)));

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPromotionsQuery {
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListPromotionsView {
    items: Vec<WrittenView<PromotionForm>>,
    next_after: Option<String>,
}

async fn list(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_promotions").await?;
    let query: ListPromotionsQuery = call.query()?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::new(Code::InvalidParameter, format!("limit: from 1 to {LIMIT_MAX}")));
    }
    let (items, next_after) = manage::list_promotions(&app.shop, limit, query.after).await?;
    let items = items.into_iter().map(|it| it.value.into()).collect();
    Reply::ok(&ListPromotionsView { items, next_after })
}
