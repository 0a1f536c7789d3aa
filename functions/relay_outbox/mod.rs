//! Every five minutes: send the events that were written but not sent.
//!
//! A sweep takes no input and looks at the present state, so a missed or doubled tick only changes when.
use crate::shared::{
    app::App,
    host::room::{Room, Tick, TriggerError, working},
    operations::outbox::relay_outbox,
};

pub(super) const ROOM: Room<App> =
    Room::timer("relay_outbox", include_str!("function.json"), |app, tick| working(handle(app, tick)));

async fn handle(app: &App, _tick: Tick) -> Result<(), TriggerError> {
    let sent = relay_outbox(&app.shop).await?;
    if sent > 0 {
        tracing::info!(event.count = sent, "Sent {sent} events that were left over.");
    }
    Ok(())
}
