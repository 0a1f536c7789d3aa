//! Time and randomness come in from outside, so that every rule can be tested at any moment.
use time::OffsetDateTime;
use ulid::Ulid;

pub trait Clock: Send + Sync {
    /// The present moment, UTC.
    fn now(&self) -> OffsetDateTime;
}

pub trait Ids: Send + Sync {
    /// A new sortable id. Only what nothing names yet is drawn; all else is derived.
    fn ulid(&self) -> Ulid;
    /// A bearer secret of 128 random bits, 32 lower-case hexadecimal digits.
    fn token(&self) -> String;
}
