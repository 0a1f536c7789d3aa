//! What the shop needs from outside, in the shop's own words. A port exists because it has several
//! adapters and one contract test that each of them passes (`tests/it/*_contract.rs`).
pub mod bus;
pub mod cache;
pub mod clock;
pub mod documents;
pub mod hub;
pub mod identity;
pub mod inventory;
pub mod limits;
pub mod mail;
pub mod objects;
pub mod payments;
pub mod reach;
pub mod taxes;

use std::sync::Arc;

/// Every port an operation may use. Cheap to clone; built once in `app.rs`.
#[derive(Clone)]
pub struct Ports {
    pub documents: Arc<dyn documents::Documents>,
    pub bus: Arc<dyn bus::Bus>,
    pub hub: Arc<dyn hub::Hub>,
    pub cache: Arc<dyn cache::Cache>,
    pub payments: Arc<dyn payments::Payments>,
    pub mail: Arc<dyn mail::Mail>,
    pub objects: Arc<dyn objects::Objects>,
    pub taxes: Arc<dyn taxes::Taxes>,
    pub clock: Arc<dyn clock::Clock>,
    pub ids: Arc<dyn clock::Ids>,
}

/// The whole cause chain on one line; `Display` alone stops at the first link.
pub fn chain(err: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(err), |e| (*e).source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
