//! Queue `stock`: another system says what is on a shelf. Messages may come twice and in any order, so the
//! queue needs no sessions; one that cannot be applied is tried again and then dead-lettered, its reason logged.
use offpeak_domain::{
    sku::Sku,
    stock::{
        Location,
        sources::{Applied, Says, SourceName, Update},
    },
};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::apply_stock_update::apply_stock_update,
};

pub(super) const ROOM: Room<App> =
    Room::message("apply_stock_update", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApplyStockUpdateMessage {
    sku: String,
    location: String,
    source: String,
    /// Counts the source's updates for this SKU and location, from 1, gaps allowed.
    version: i64,
    kind: ApplyStockUpdateKind,
    quantity: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ApplyStockUpdateKind {
    Absolute,
    Relative,
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let body: ApplyStockUpdateMessage = serde_json::from_slice(&message.body)?;
    let (sku, location) = (Sku::parse(&body.sku)?, Location::parse(&body.location)?);
    let says = match body.kind {
        ApplyStockUpdateKind::Absolute => Says::Absolute,
        ApplyStockUpdateKind::Relative => Says::Relative,
    };
    let source = SourceName::parse(&body.source)?;
    let update = Update { source, version: body.version, says, quantity: body.quantity, at: body.at };
    if apply_stock_update(&app.shop, &sku, &location, &update).await? == Applied::Nothing {
        tracing::debug!(stock.sku = %sku, "An update of {sku} was applied before, or is void.");
    }
    Ok(())
}
