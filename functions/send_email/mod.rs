//! Queue `mail`: send one mail. Delivery is at least once; a mail goes out once per event.
use offpeak_domain::ids::OrderId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::send_email::{OrderMail, send_order_mail},
};

pub(super) const ROOM: Room<App> =
    Room::message("send_email", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
enum SendEmailMessage {
    OrderConfirmation { order_id: String },
    OrderShortfall { order_id: String },
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let (mail, order_id) = match serde_json::from_slice(&message.body)? {
        SendEmailMessage::OrderConfirmation { order_id } => (OrderMail::Confirmation, order_id),
        SendEmailMessage::OrderShortfall { order_id } => (OrderMail::Shortfall, order_id),
    };
    send_order_mail(&app.shop, mail, OrderId::parse(&order_id)?).await?;
    Ok(())
}
