//! What a completion does to the world, each thing repeatable; one file per what it is done to.
mod cart;
mod order;
mod payment;
mod stock;
mod uses;

pub(super) use cart::{lock_cart, mark_cart_ordered, unlock_cart};
pub(crate) use order::resume_message;
pub(super) use order::{confirmation_mail, order_placed, order_shortfall, pending_order, placed, shortfall_mail};
pub(super) use payment::{
    Prepared, Voided, authorise, authorised, capture, is_captured, name, prepare, still_waits, void,
};
pub(super) use stock::{Claimed, Holds, claim_stock, hold_stock, release_stock};
pub(super) use uses::{claim_uses, release_uses};
