//! The one place that reads settings.
