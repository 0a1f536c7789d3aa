//! Queue `mail`: send one mail. Delivery is at least once; a mail goes out once per event.
use offpeak_domain::ids::OrderId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::send_email::{EntryMail, OrderMail, send_order_mail},
};

pub(super) const ROOM: Room<App> =
    Room::message("send_email", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(clippy::enum_variant_names, reason = "they are the names on the wire")]
enum SendEmailMessage {
    OrderConfirmation { order_id: String },
    OrderShortfall { order_id: String },
    OrderShipped { order_id: String, entry: u32 },
    OrderRefunded { order_id: String, entry: u32 },
    OrderCancelled { order_id: String, entry: u32 },
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let about = |kind, number| OrderMail::Entry { kind, number };
    let (mail, order_id) = match serde_json::from_slice(&message.body)? {
        SendEmailMessage::OrderConfirmation { order_id } => (OrderMail::Confirmation, order_id),
        SendEmailMessage::OrderShortfall { order_id } => (OrderMail::Shortfall, order_id),
        SendEmailMessage::OrderShipped { order_id, entry } => (about(EntryMail::Shipped, entry), order_id),
        SendEmailMessage::OrderRefunded { order_id, entry } => (about(EntryMail::Refunded, entry), order_id),
        SendEmailMessage::OrderCancelled { order_id, entry } => (about(EntryMail::Cancelled, entry), order_id),
    };
    send_order_mail(&app.shop, mail, OrderId::parse(&order_id)?).await?;
    Ok(())
}
