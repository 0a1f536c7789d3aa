//! How much of everything one process takes, and for how long. One struct, so that a test can set any
//! of them small; the defaults are what is shipped.
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every limit of the server. The times that end work are shorter than the host's: `functionTimeout` in
/// `host.json` is 120 s and kills the whole process, the front end lets go of a call after 230 s.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once; the next ones wait in the listener's queue. 1,024.
    pub connections: usize,
    /// Request line and headers together, in bytes; more is answered 431. Twice as much closes the
    /// connection after a bare 431. 32 KiB.
    pub head_bytes: usize,
    /// From a request's first byte to the end of its headers. 10 s.
    pub head_time: Duration,
    /// Between two requests of a connection, at least; at most twice as long. Longer than the host's client keeps an idle connection
    /// (.NET: 60 s), so that it is not the server that closes one while it is taken up again. 120 s.
    pub idle_time: Duration,
    /// Longest time in which a client takes nothing of its answer. 30 s.
    pub write_time: Duration,
    /// From the end of the headers to the end of the body, also of a body that is only thrown away. 30 s.
    pub body_time: Duration,
    /// How much of an unwanted body is read so that the caller, who is still sending, sees the answer.
    /// 16 MiB.
    pub drain_bytes: usize,
    /// Body of an invocation: a full batch of messages, escaped twice. 16 MiB.
    pub invocation_bytes: usize,
    /// What a room has for one HTTP request; then it is answered 503. 60 s.
    pub request_time: Duration,
    /// What a room has for one invocation; then the invocation fails. 100 s.
    pub invocation_time: Duration,
    /// Longest rest of a message that failed before it is given back, with [`Limits::invocation_time`] shorter than the
    /// host's limit. 15 s.
    pub rest_max: Duration,
    /// Adds `Server-Timing` with the count of store operations to HTTP answers; for local mode. Off.
    pub debug_headers: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            head_bytes: 32 * KIB,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(120),
            write_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            drain_bytes: 16 * MIB,
            invocation_bytes: 16 * MIB,
            request_time: Duration::from_secs(60),
            invocation_time: Duration::from_secs(100),
            rest_max: Duration::from_secs(15),
            debug_headers: false,
        }
    }
}

impl Limits {
    /// How long a message rests that has failed so often. The broker would give it out again at once and set it aside
    /// after ten times, all within a second while a dependency is away; so the ten take more than a minute.
    pub fn rest(&self, deliveries: u32) -> Duration {
        let seconds = match deliveries {
            // Whoever was only in another's way goes on at once.
            0 | 1 => 0,
            more => 1 << (more - 2).min(16),
        };
        Duration::from_secs(seconds).min(self.rest_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_deliveries_outlast_a_minute_and_none_outlasts_the_host() {
        let limits = Limits::default();
        let rests: Vec<u64> = (1..=10).map(|it| limits.rest(it).as_secs()).collect();
        assert_eq!(rests, [0, 1, 2, 4, 8, 15, 15, 15, 15, 15]);
        assert!(rests[..9].iter().sum::<u64>() > 60);
        let function_timeout = Duration::from_secs(120);
        assert!(limits.invocation_time + limits.rest(u32::MAX) < function_timeout);
    }
}
