//! Every function of this app: one line per room. The tidy test compares with the folders.
use crate::shared::{app::App, host::room::Room};

pub static ROOMS: &[Room<App>] = &[];
