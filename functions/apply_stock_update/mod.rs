//! Queue `stock`: another system says what is on a shelf. Messages may come twice and in any order, so the
//! queue needs no sessions. One that can never be applied is set aside at once with its reason, for
//! `/api/v1/manage/rejected-stock-updates`; while the store is away it comes again.
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
    host::{
        problem::chain,
        room::{Message, Room, TriggerError, working},
    },
    operations::{
        apply_stock_update::{ApplyError, apply_stock_update},
        rejected_updates::set_aside,
    },
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
    match apply(app, &message).await {
        Ok(Applied::Nothing) => tracing::debug!("A stock update was applied before, or is void."),
        Ok(Applied::OnHand(_)) => {}
        Err(err) if err.is_final(message.delivery_count) => {
            let Message { body, message_id, delivery_count } = message;
            set_aside(&app.shop, &body, message_id, delivery_count, chain(&err)).await?;
        }
        Err(err) => return Err(err.into()),
    }
    Ok(())
}

async fn apply(app: &App, message: &Message) -> Result<Applied, ApplyError> {
    let (sku, location, update) = parse(&message.body).map_err(ApplyError::Unreadable)?;
    apply_stock_update(&app.shop, &sku, &location, &update).await
}

fn parse(message: &[u8]) -> Result<(Sku, Location, Update), TriggerError> {
    let body: ApplyStockUpdateMessage = serde_json::from_slice(message)?;
    let says = match body.kind {
        ApplyStockUpdateKind::Absolute => Says::Absolute,
        ApplyStockUpdateKind::Relative => Says::Relative,
    };
    let source = SourceName::parse(&body.source)?;
    let update = Update { source, version: body.version, says, quantity: body.quantity, at: body.at };
    Ok((Sku::parse(&body.sku)?, Location::parse(&body.location)?, update))
}
