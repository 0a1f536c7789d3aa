//! Settings of how much one client may ask.
use super::Reader;

/// Requests a minute of one client, by what they do; and the proxies before us that write `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitConfig {
    pub read: u32,
    pub write: u32,
    pub guess: u32,
    pub hops: usize,
}

/// Far above what a shopper does, far below what a script does.
const USUAL: RateLimitConfig = RateLimitConfig { read: 600, write: 120, guess: 20, hops: 1 };
/// Proxies that one can believe in.
const HOPS_MAX: usize = 10;

impl Reader<'_> {
    pub(super) fn rate_limits(&mut self) -> Option<RateLimitConfig> {
        let mut limits = match self.text("OFFPEAK_RATE_LIMITS") {
            None if self.local => return None,
            None => USUAL,
            Some(text) if text == "off" => return None,
            Some(text) => self.limits(&text),
        };
        // A wrong number would take all clients for one, so it is not guessed.
        match self.text("OFFPEAK_FORWARDED_HOPS").map(|it| it.parse()) {
            Some(Ok(hops)) if (1..=HOPS_MAX).contains(&hops) => limits.hops = hops,
            Some(_) => self.faults.push(format!("OFFPEAK_FORWARDED_HOPS is not a number from 1 to {HOPS_MAX}")),
            None if self.local => {}
            None => self.faults.push(
                "OFFPEAK_FORWARDED_HOPS is missing: how many proxies before the app add to X-Forwarded-For; or set \
                 OFFPEAK_RATE_LIMITS to off"
                    .to_owned(),
            ),
        }
        Some(limits)
    }

    /// `read=600,write=120,guess=20`; what is left out is as usual.
    fn limits(&mut self, text: &str) -> RateLimitConfig {
        let mut limits = USUAL;
        for part in text.split(',') {
            let number =
                part.split_once('=').and_then(|(name, number)| Some((name.trim(), number.trim().parse().ok()?)));
            match number.filter(|(_, number)| *number > 0) {
                Some(("read", number)) => limits.read = number,
                Some(("write", number)) => limits.write = number,
                Some(("guess", number)) => limits.guess = number,
                _ => self.faults.push(format!(
                    "OFFPEAK_RATE_LIMITS has `{}`; it is `off` or as in read=600,write=120,guess=20",
                    part.trim()
                )),
            }
        }
        limits
    }
}
