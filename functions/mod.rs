//! Every function of this app: one line per room. The tidy test compares with the folders.
use crate::shared::{app::App, host::room::Room};

mod apply_stock_update;
mod cancel_order;
mod cart;
mod cart_coupons;
mod cart_lines;
mod change_fulfilment;
mod change_return;
mod checkout;
mod collect_events;
mod complete_checkout;
mod continue_job;
mod create_cart;
mod fulfil_order;
mod get_order;
mod get_product;
mod health;
mod ingest_clicks;
mod ingest_purchases;
mod issue_coupon_codes;
mod list_products;
mod list_promotions;
mod list_rejected_stock_updates;
mod list_stock_movements;
mod manage_inventory_sync;
mod manage_order;
mod manage_order_cancel;
mod manage_price_lists;
mod manage_promotions;
mod manage_recommendations;
mod manage_returns;
mod manage_settings;
mod manage_stock;
mod merge_cart;
mod note_order;
mod payment_webhook;
mod recommend;
mod refresh_recommendations;
mod refund_order;
mod relay_outbox;
mod request_return;
mod resume_checkout;
mod send_email;
mod set_cart_lines;
mod start_checkout;
mod sync_inventory;
mod try_promotion;
mod verify;
mod verify_progress;

pub static ROOMS: &[Room<App>] = &[
    list_products::ROOM,
    get_product::ROOM,
    recommend::ROOM,
    create_cart::ROOM,
    cart::ROOM,
    cart_lines::ROOM,
    set_cart_lines::ROOM,
    merge_cart::ROOM,
    cart_coupons::ROOM,
    start_checkout::ROOM,
    checkout::ROOM,
    complete_checkout::ROOM,
    get_order::ROOM,
    cancel_order::ROOM,
    request_return::ROOM,
    manage_order::ROOM,
    manage_order_cancel::ROOM,
    fulfil_order::ROOM,
    change_fulfilment::ROOM,
    refund_order::ROOM,
    manage_returns::ROOM,
    change_return::ROOM,
    manage_settings::ROOM,
    manage_stock::ROOM,
    list_promotions::ROOM,
    manage_promotions::ROOM,
    issue_coupon_codes::ROOM,
    try_promotion::ROOM,
    manage_price_lists::ROOM,
    list_stock_movements::ROOM,
    apply_stock_update::ROOM,
    list_rejected_stock_updates::ROOM,
    manage_inventory_sync::ROOM,
    sync_inventory::ROOM,
    send_email::ROOM,
    resume_checkout::ROOM,
    note_order::ROOM,
    payment_webhook::ROOM,
    relay_outbox::ROOM,
    collect_events::ROOM,
    ingest_clicks::ROOM,
    ingest_purchases::ROOM,
    verify::ROOM,
    verify_progress::ROOM,
    continue_job::ROOM,
    refresh_recommendations::ROOM,
    manage_recommendations::ROOM,
    health::ROOM,
];
