//! `GET` and `PUT /api/v1/manage/stock/{sku}`: what is on the shelves and how it sells, for staff.
//!
//! A write names what it saw (`If-Match`, `*` for whatever it is), so two stocktakes cannot hide each other.
use offpeak_domain::{
    code::Code,
    sku::Sku,
    stock::{Count, Levels, Location},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use time::OffsetDateTime;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::stock::{self, Expected},
};

pub(super) const ROOM: Room<App> = Room::http("manage_stock", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(count(app, call)));

/// What is left out stays as it is; at least one number is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManageStockBody {
    location: String,
    on_hand: Option<Number>,
    safety: Option<Number>,
    /// Null: without end.
    #[serde(default, deserialize_with = "present")]
    backorder_limit: Option<Option<Number>>,
}

/// Tells null from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Number>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
struct ManageStockView {
    levels: Vec<StockLevelView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockLevelView {
    location: String,
    on_hand: i64,
    allocated: i64,
    held: i64,
    available: i64,
    safety: i64,
    backorder_limit: Option<i64>,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_stock").await?;
    let sku = Sku::parse(call.param("sku"))?;
    let level = stock::level(&app.shop.ports, &sku).await?;
    let level =
        level.ok_or_else(|| Problem::new(Code::NotFound, "This SKU was never counted. Set its level with PUT."))?;
    Ok(Reply::ok(&view(&level.value, app.shop.ports.clock.now()))?.etag(&level.etag.0))
}

async fn count(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_stock").await?;
    let body: ManageStockBody = call.json()?;
    let sku = Sku::parse(call.param("sku"))?;
    let location = Location::parse(&body.location).map_err(|err| Problem::invalid("location", err.to_string()))?;
    let settings = app.shop.settings().await?;
    if !settings.stock.has(&location) {
        let names: Vec<_> = settings.stock.locations.iter().map(|it| it.name.as_str()).collect();
        return Err(Problem::invalid("location", format!("the store's locations are {}", names.join(", "))));
    }
    let count = body.count()?;
    let expected = match call.if_match()? {
        Some("*") => Expected::Any,
        Some(etag) => Expected::Version(etag.to_owned()),
        None => return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *.")),
    };
    let level = stock::count(&app.shop.ports, &sku, &location, count, expected, &caller.subject).await?;
    Ok(Reply::ok(&view(&level.value, app.shop.ports.clock.now()))?.etag(&level.etag.0))
}

impl ManageStockBody {
    fn count(&self) -> Result<Count, Problem> {
        let whole = |name: &str, number: &Number| {
            number.as_i64().ok_or_else(|| Problem::invalid(name, "a whole number that is not negative"))
        };
        let limit = |it: &Option<Number>| it.as_ref().map(|it| whole("backorderLimit", it)).transpose();
        let count = Count {
            on_hand: self.on_hand.as_ref().map(|it| whole("onHand", it)).transpose()?,
            safety: self.safety.as_ref().map(|it| whole("safety", it)).transpose()?,
            backorder_limit: self.backorder_limit.as_ref().map(limit).transpose()?,
        };
        if count == Count::default() {
            return Err(Problem::invalid("onHand", "say at least one of onHand, safety and backorderLimit"));
        }
        Ok(count)
    }
}

fn view(levels: &Levels, now: OffsetDateTime) -> ManageStockView {
    let levels = levels.by_location.iter().map(|(location, level)| StockLevelView {
        location: location.to_string(),
        on_hand: level.on_hand,
        allocated: level.allocated,
        held: level.live_holds(now),
        available: level.available(now),
        safety: level.safety,
        backorder_limit: level.backorder_limit,
    });
    ManageStockView { levels: levels.collect() }
}
