//! What shoppers do, as the hub carries it and the objects keep it.
pub mod day;
pub mod event;
pub mod frames;
pub mod live;
pub mod stored;
