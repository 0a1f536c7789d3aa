//! Every function of this app: one line per room. The tidy test compares with the folders.
use crate::shared::{app::App, host::room::Room};

mod cart;
mod cart_lines;
mod checkout;
mod complete_checkout;
mod create_cart;
mod get_order;
mod get_product;
mod health;
mod list_products;
mod manage_stock;
mod merge_cart;
mod payment_webhook;
mod relay_outbox;
mod resume_checkout;
mod send_email;
mod set_cart_lines;
mod start_checkout;

pub static ROOMS: &[Room<App>] = &[
    list_products::ROOM,
    get_product::ROOM,
    create_cart::ROOM,
    cart::ROOM,
    cart_lines::ROOM,
    set_cart_lines::ROOM,
    merge_cart::ROOM,
    start_checkout::ROOM,
    checkout::ROOM,
    complete_checkout::ROOM,
    get_order::ROOM,
    manage_stock::ROOM,
    send_email::ROOM,
    resume_checkout::ROOM,
    payment_webhook::ROOM,
    relay_outbox::ROOM,
    health::ROOM,
];
