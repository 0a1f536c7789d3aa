//! Every hour, so that what is no longer of the last hour is in the model, and whenever somebody starts it: make the
//! model of recommendations anew.
//!
//! What there is no time for is done by messages (`continue_job`); a missed or doubled tick only changes when.
use crate::shared::{
    app::App,
    host::room::{Room, Tick, TriggerError, working},
    operations::recommendations::refresh::refresh,
};

pub(super) const ROOM: Room<App> =
    Room::timer("refresh_recommendations", include_str!("function.json"), |app, tick| working(handle(app, tick)));

async fn handle(app: &App, _tick: Tick) -> Result<(), TriggerError> {
    refresh(&app.shop).await?;
    Ok(())
}
