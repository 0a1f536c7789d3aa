//! Who may come in, asked before a body is read: a request too many is turned away for next to nothing.
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, Method};

use super::problem::Problem;

/// What the requests to a room count as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Reading or changing, by the method.
    Plain,
    /// As [`Traffic::Plain`], but what is no reading is where a stranger could try codes or numbers until one fits.
    Guess,
    /// Not counted: probes, and callers who must come through.
    Free,
}

/// A request at the door.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub traffic: Traffic,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
}

/// What the rooms are given decides who may come to them.
pub trait Admit {
    /// # Errors
    /// What is answered instead.
    fn admit(&self, visit: &Visit<'_>) -> Result<(), Problem>;
}

impl Visit<'_> {
    /// The client's address as the outermost of `hops` proxies of ours wrote it into `X-Forwarded-For`; what stands
    /// before it the client may have written. Of an IPv6 address the network: a household has one, not an address.
    pub fn address(&self, hops: usize) -> Option<IpAddr> {
        let lines = self.headers.get_all("x-forwarded-for").iter().filter_map(|it| it.to_str().ok());
        let entries: Vec<&str> = lines.flat_map(|it| it.split(',')).map(str::trim).collect();
        let entry = entries.len().checked_sub(hops).and_then(|at| entries.get(at))?;
        let with_port = || entry.parse::<SocketAddr>().ok().map(|it| it.ip());
        match entry.parse::<IpAddr>().ok().or_else(with_port)?.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            address => Some(address),
        }
    }

    /// What opens the caller's cart or says who signed in, not yet looked at.
    pub fn token(&self) -> Option<&str> {
        let header = self.headers.get("x-cart-token").or_else(|| self.headers.get("authorization"));
        header.and_then(|it| it.to_str().ok()).filter(|it| !it.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(forwarded: &[&str], hops: usize) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let visit = Visit { traffic: Traffic::Plain, method: &Method::GET, headers: &headers };
        visit.address(hops).map(|it| it.to_string())
    }

    #[test]
    fn the_address_is_the_one_that_our_own_proxies_wrote() {
        let check = |forwarded: &[&str], hops, want: Option<&str>| {
            assert_eq!(address(forwarded, hops).as_deref(), want, "{forwarded:?} by {hops}");
        };
        check(&["203.0.113.7"], 1, Some("203.0.113.7"));
        check(&["6.6.6.6, 203.0.113.7"], 1, Some("203.0.113.7"));
        check(&["6.6.6.6, 203.0.113.7:51234, 10.0.0.4:80"], 2, Some("203.0.113.7"));
        check(&["6.6.6.6", "203.0.113.7,10.0.0.4"], 2, Some("203.0.113.7"));
        check(&["::ffff:203.0.113.7"], 1, Some("203.0.113.7"));
        check(&["2001:db8:1:2:3:4:5:6"], 1, Some("2001:db8:1:2::"));
        check(&["[2001:db8:1:2:9::1]:443"], 1, Some("2001:db8:1:2::"));
        check(&["203.0.113.7"], 2, None);
        check(&["unknown"], 1, None);
        check(&["203.0.113.7"], 0, None);
        check(&[], 1, None);
    }
}
