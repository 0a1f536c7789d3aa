//! Composition root: settings in, app out; the one place that names adapters.
use crate::shared::{operations::offers::Catalogue, ports::Ports};

/// What every room is given.
pub struct App {
    pub ports: Ports,
    /// What is for sale, as this process last saw it.
    pub catalogue: Catalogue,
}
