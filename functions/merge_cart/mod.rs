//! `POST /api/v1/carts/{cartId}/merge`: a shopper has signed in, and the guest's cart goes into the account's.
//!
//! The guest's token opens the guest's cart, the bearer token names the account. A repeat, on whatever device,
//! answers the same and changes nothing. The guest's token opens nothing of the account's cart.
use offpeak_domain::{
    ids::CartId,
    merge::{MergeReason, MergeStrategy, MergedCode, MergedLine},
};
use serde::{Deserialize, Serialize};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::merge_cart,
    views::cart::CartView,
};

pub(super) const ROOM: Room<App> =
    Room::http("merge_cart", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

/// An absent body is an empty one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeCartBody {
    strategy: Option<String>,
}

#[derive(Serialize)]
struct MergeCartView {
    cart: CartView,
    /// The strategy of the first call.
    strategy: &'static str,
    report: Vec<MergedLineView>,
    codes: Vec<MergedCodeView>,
}

#[derive(Serialize)]
struct MergedCodeView {
    code: String,
    kept: bool,
}

#[derive(Serialize)]
struct MergedLineView {
    sku: String,
    guest: u32,
    customer: u32,
    result: u32,
    reason: Option<&'static str>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: MergeCartBody = if call.body.is_empty() { MergeCartBody::default() } else { call.json()? };
    let strategy = match body.strategy.as_deref() {
        None => MergeStrategy::default(),
        Some(name) => MergeStrategy::parse(name)
            .ok_or_else(|| Problem::invalid("strategy", "sum, keep_customer, keep_guest or max"))?,
    };
    let guest = CartId::parse(call.param("cartId"))?;
    let token = call.cart_token()?;
    let customer = app.customer(&call).await?;
    let (own, record) = merge_cart::merge_cart(&app.shop, guest, token, &customer, strategy).await?;
    let view = MergeCartView {
        cart: CartView::new(&own.cart, &own.token),
        strategy: record.strategy.name(),
        report: record.report.lines.iter().map(line_view).collect(),
        codes: record.report.codes.iter().map(code_view).collect(),
    };
    Ok(Reply::ok(&view)?.etag(&own.cart.etag.0))
}

fn code_view(code: &MergedCode) -> MergedCodeView {
    MergedCodeView { code: code.code.to_string(), kept: code.kept }
}

fn line_view(line: &MergedLine) -> MergedLineView {
    MergedLineView {
        sku: line.sku.to_string(),
        guest: line.guest,
        customer: line.customer,
        result: line.result,
        reason: line.reason.map(MergeReason::name),
    }
}
