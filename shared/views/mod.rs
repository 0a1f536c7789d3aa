//! What several rooms show: carts, checkouts, orders, and refusals as problems. Wire shapes of the store
//! API; a published member keeps its name and meaning.
pub mod cart;
pub mod cart_lines;
pub mod checkout;
pub mod completed;
pub mod discounts;
pub mod money;
pub mod order;
pub mod order_changes;
pub mod order_parts;
pub mod order_refusals;
pub mod promotion;
pub mod refusals;
pub mod session;
pub mod settings;
pub mod verify;
