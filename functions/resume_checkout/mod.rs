//! Queue `checkouts`: look after a completion some time after it began, and finish what a crash left.
//!
//! Looking costs one read when all is well. When it is not over yet, another look is scheduled.
use offpeak_domain::ids::CheckoutId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::complete_checkout::resume_checkout,
};

pub(super) const ROOM: Room<App> =
    Room::message("resume_checkout", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResumeCheckoutMessage {
    checkout_id: String,
    /// Which look this is; only for the log and the message id.
    name: String,
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let body: ResumeCheckoutMessage = serde_json::from_slice(&message.body)?;
    resume_checkout(&app.shop, CheckoutId::parse(&body.checkout_id)?, &body.name).await?;
    Ok(())
}
