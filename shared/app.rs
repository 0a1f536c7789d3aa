//! Composition root: settings in, app out; the one place that names adapters.
use crate::shared::ports::Ports;

/// What every room is given.
pub struct App {
    pub ports: Ports,
}
