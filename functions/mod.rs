//! Every function of this app: one line per room. The tidy test compares with the folders.
use crate::shared::{app::App, host::room::Room};

mod get_product;
mod list_products;

pub static ROOMS: &[Room<App>] = &[get_product::ROOM, list_products::ROOM];
