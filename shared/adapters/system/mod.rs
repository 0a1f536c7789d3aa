//! The machine's own clock and randomness.
use time::OffsetDateTime;
use ulid::Ulid;

use crate::shared::ports::clock::{Clock, Ids};

pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// From the operating system's generator, through the `rand` of the `ulid` crate.
pub struct RandomIds;

impl Ids for RandomIds {
    fn ulid(&self) -> Ulid {
        Ulid::generate()
    }

    fn token(&self) -> String {
        // Two ULIDs carry 80 random bits each; 64 of each make the token.
        let random = |ulid: Ulid| ulid.random() & u128::from(u64::MAX);
        format!("{:016x}{:016x}", random(Ulid::generate()), random(Ulid::generate()))
    }
}
