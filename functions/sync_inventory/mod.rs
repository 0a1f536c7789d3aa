//! Every fifteen minutes: pull the inventory feed, if the store has one.
//!
//! A pull looks at the feed and the levels as they are, so a missed or doubled tick only changes when.
use crate::shared::{
    app::App,
    host::room::{Room, Tick, TriggerError, working},
    operations::sync_inventory::{Synced, sync_inventory},
};

pub(super) const ROOM: Room<App> =
    Room::timer("sync_inventory", include_str!("function.json"), |app, tick| working(handle(app, tick)));

async fn handle(app: &App, _tick: Tick) -> Result<(), TriggerError> {
    let Some(feed) = &app.inventory else { return Ok(()) };
    match sync_inventory(&app.shop, feed.as_ref()).await? {
        Synced::Unchanged | Synced::Held(_) => {}
        Synced::Applied(report) => {
            tracing::info!(event.count = report.changed, "The inventory feed changed {} levels.", report.changed);
        }
        Synced::Interrupted(report) => {
            tracing::warn!(event.count = report.failed, "The next pull goes on with {} levels.", report.failed);
        }
    }
    Ok(())
}
