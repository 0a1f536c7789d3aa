//! Queue `mail`: send one mail. Delivery is at least once; a mail goes out once per event.
use offpeak_domain::ids::OrderId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::send_email::send_order_confirmation,
};

pub(super) const ROOM: Room<App> =
    Room::message("send_email", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
enum SendEmailMessage {
    OrderConfirmation { order_id: String },
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    match serde_json::from_slice(&message.body)? {
        SendEmailMessage::OrderConfirmation { order_id } => {
            send_order_confirmation(&app.shop, OrderId::parse(&order_id)?).await?;
        }
    }
    Ok(())
}
