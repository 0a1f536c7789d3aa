//! The one place that sets up tracing.
