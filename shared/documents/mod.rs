//! Stored shapes: types with `schema`, parsed on read, and their partition keys.
