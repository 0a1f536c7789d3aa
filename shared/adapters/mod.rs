//! One folder per technology. Only `app.rs` names them.
