//! Stock in one process and without waiting: several locations, holds that lapse, buyers who share a batch,
//! and what other systems say is on the shelf.
mod crowd;
mod feed;
mod holds;
mod rooms;
mod shelf;
mod updates;
