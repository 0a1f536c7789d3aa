//! Recommendations: what this session is likely to want next, from what sessions before it did.
//!
//! A model is a file of bytes, built by [`Builder`] and read in place by [`Model`]. What must stay true: it is pure;
//! equal input gives equal lists; a query allocates by what it touches and never by the size of the model.
#![expect(clippy::float_arithmetic, reason = "scores are no money: they rank, and nobody is charged by them")]
#![expect(clippy::cast_possible_truncation, reason = "items, sessions and places are u32 by the format of the file")]

mod answer;
mod assemble;
mod build;
mod click;
mod gate;
mod hash;
mod held_out;
mod index;
pub mod metrics;
mod outcome;
mod overlay;
mod params;
mod score;
mod surface;
#[cfg(test)]
mod tests;

pub use answer::{LIMIT_MAX, SESSION_MAX, Tuning, recommend};
pub use assemble::{Assembler, IDLE_SECONDS, Sessions};
pub use build::{Builder, STEPS_MAX, Stage};
pub use click::{Click, Kind};
pub use gate::{Comparison, Verdict};
pub use hash::xxh64;
pub use held_out::HeldOut;
pub use index::{IndexError, Item, Layout, Model, VERSION, seal};
pub use outcome::{Outcome, Outcomes};
pub use overlay::{ALONE, ID_MAX_BYTES, LiveClick, Overlay, Segment, SegmentError};
pub use params::{FIELDS, Params, ParamsError};
pub use score::{Live, Prepared, Scored, Scratch, Seen, hybrid, vmis};
pub use surface::{Consent, Query, Reason, Recommended, Surface};
