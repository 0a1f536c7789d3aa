//! How many requests a client may send in a minute, counted over all processes that share a cache.
//!
//! Nobody waits to be counted: a process counts at once, and hears of the others soon after. Without a cache each
//! process counts for itself, and lets through what it has not seen.
use std::{net::IpAddr, time::Duration};

use super::sha256;
use crate::shared::ports::Ports;

const WINDOW_S: i64 = 60;
/// How many times as much an address may do as one who holds a token: behind an address there may be an office.
const ADDRESS_SHARE: u64 = 5;
/// Of a token's hash, enough to tell tokens apart.
const TOKEN_CHARS: usize = 32;

/// Requests of one client in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMinute {
    pub read: u32,
    pub write: u32,
    pub guess: u32,
}

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Guess,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Guess => "guess",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too many requests in a minute")]
pub struct TooMany {
    /// Until the next minute begins.
    pub retry_after_s: u32,
}

impl PerMinute {
    fn of(&self, kind: Kind) -> u64 {
        u64::from(match kind {
            Kind::Read => self.read,
            Kind::Write => self.write,
            Kind::Guess => self.guess,
        })
    }

    /// Counts a request by its client's address and by its token; refused ones count too. Who is not known by either is
    /// let through.
    ///
    /// # Errors
    /// [`TooMany`] if either had its share.
    pub fn count(
        &self,
        ports: &Ports,
        kind: Kind,
        address: Option<IpAddr>,
        token: Option<&str>,
    ) -> Result<(), TooMany> {
        let now = ports.clock.now().unix_timestamp();
        let (minute, limit) = (now.div_euclid(WINDOW_S), self.of(kind));
        let over = |client: String, limit: u64| {
            let key = format!("rate/1:{}:{minute}:{client}", kind.name());
            ports.cache.count(&key, 1, Duration::from_secs(WINDOW_S.unsigned_abs())) > limit
        };
        let by_address = address.is_some_and(|it| over(it.to_string(), limit.saturating_mul(ADDRESS_SHARE)));
        let by_token = token.is_some_and(|it| over(sha256(it)[..TOKEN_CHARS].to_owned(), limit));
        if by_address || by_token {
            let left = WINDOW_S - now.rem_euclid(WINDOW_S);
            return Err(TooMany { retry_after_s: u32::try_from(left).unwrap_or(1) });
        }
        Ok(())
    }
}
