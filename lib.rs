//! Offpeak. `functions` holds one room per Azure Function; `shared` holds what they stand on.
pub mod functions;
pub mod shared;
