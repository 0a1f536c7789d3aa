//! `PUT /api/v1/carts/{cartId}/lines`: set, add and remove several lines at once.
//!
//! Quantities are absolute and 0 removes, so a repeat changes nothing; lines that are not named stay. With
//! `mode` `all_or_nothing` (the default) one line that cannot be set leaves everything as it was; with
//! `per_line` the others are set and `results` says what became of each.
use offpeak_domain::{cart::LineChange, ids::CartId};
use serde::{Deserialize, Serialize};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::carts::{self, Mode},
    views::{
        cart::CartView,
        cart_lines::{LineBody, LineResultView, merged_results, parse_lines},
    },
};

/// A hundred lines with long SKUs.
const BODY_MAX_BYTES: usize = 32 * 1024;

pub(super) const ROOM: Room<App> = Room::http("set_cart_lines", include_str!("function.json"))
    .put(|app, call| answering(handle(app, call)))
    .body_max(BODY_MAX_BYTES);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCartLinesBody {
    lines: Vec<LineBody>,
    #[serde(default)]
    mode: ModeBody,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeBody {
    #[default]
    AllOrNothing,
    PerLine,
}

#[derive(Serialize)]
struct SetCartLinesView {
    #[serde(flatten)]
    cart: CartView,
    /// One for each line of the request, in its order.
    results: Vec<LineResultView>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: SetCartLinesBody = call.json()?;
    let mode = match body.mode {
        ModeBody::AllOrNothing => Mode::AllOrNothing,
        ModeBody::PerLine => Mode::PerLine,
    };
    let token = call.cart_token()?;
    let id = CartId::parse(call.param("cartId"))?;
    let parsed = parse_lines(&body.lines, mode)?;
    let changes: Vec<LineChange> = parsed.iter().filter_map(|it| it.as_ref().ok().cloned()).collect();
    let (cart, done) = carts::set_cart_lines(&app.shop, id, token, &changes, mode, call.if_match()?).await?;
    let results = merged_results(&body.lines, &parsed, done);
    let view = SetCartLinesView { cart: CartView::new(&cart, token), results };
    Ok(Reply::ok(&view)?.etag(&cart.etag.0))
}
