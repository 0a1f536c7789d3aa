//! The one place that sets up tracing, and the ids and counts that follow one request.
//!
//! Logs go to standard output, one line per event: the host reads a line of standard error as an error,
//! and does not say which invocation a line belongs to. So every line within a request carries the
//! function, the host's invocation id and the trace id. They lie in a task-local and are written only
//! when something is logged: a request that logs nothing formats nothing. Headers, tokens and bodies
//! are never logged.
use std::{
    cell::Cell,
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    registry::LookupSpan,
};

/// The header in which the host names the invocation. Source: Functions custom handlers.
pub static INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");
/// The caller's trace. Source: W3C Trace Context.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest invocation id that is logged; the host sends 36 characters.
const INVOCATION_ID_MAX: usize = 64;

tokio::task_local! {
    static SCOPE: Scope;
}

/// What one request is known by, and what it asked of the store.
#[derive(Debug)]
pub struct Scope {
    function: &'static str,
    invocation: Option<HeaderValue>,
    parent: Option<HeaderValue>,
    /// Read from `parent` or made when it is first asked for; most requests never are.
    trace: Cell<Option<u128>>,
    attempt: Cell<u32>,
    store: [Cell<u32>; 3],
    cache: Cell<u32>,
    /// Thousandths of a request unit.
    charge: Cell<u64>,
}

impl Scope {
    /// The scope of a request to `function`, its ids taken from the request's headers. A `traceparent`
    /// that is absent or malformed is replaced by a fresh trace id.
    pub fn of(function: &'static str, headers: &HeaderMap) -> Scope {
        Scope {
            function,
            invocation: headers.get(&INVOCATION_ID).cloned(),
            parent: headers.get(&TRACEPARENT).cloned(),
            trace: Cell::new(None),
            attempt: Cell::new(0),
            store: Default::default(),
            cache: Cell::new(0),
            charge: Cell::new(0),
        }
    }

    fn trace(&self) -> u128 {
        let parent = || self.parent.as_ref().and_then(|value| trace_id(value.as_bytes()));
        let trace = self.trace.get().or_else(parent).unwrap_or_else(fresh_trace_id);
        self.trace.set(Some(trace));
        trace
    }

    /// What is too long or not text is left out: it is not the host's.
    fn invocation(&self) -> Option<&str> {
        self.invocation.as_ref()?.to_str().ok().filter(|id| id.len() <= INVOCATION_ID_MAX)
    }
}

/// Runs `work` as part of the request that `scope` describes.
pub fn within<F: Future>(scope: Scope, work: F) -> impl Future<Output = F::Output> {
    SCOPE.scope(scope, work)
}

/// The trace id of the request at hand, 32 hexadecimal digits; `None` outside a request.
pub fn trace() -> Option<String> {
    SCOPE.try_with(|scope| format!("{:032x}", scope.trace())).ok()
}

/// Notes which delivery or try of its trigger this is, 1 for the first; log lines carry later ones.
pub fn attempt(number: u32) {
    // Outside a request there is no line to mark.
    SCOPE.try_with(|scope| scope.attempt.set(number)).unwrap_or_default();
}

/// What an adapter asks of the document store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// One point read.
    Read,
    /// One write or one batch.
    Write,
    /// One page of a query.
    Query,
}

/// Counts one operation for the request at hand; nothing outside a request.
pub fn store_op(kind: StoreOp) {
    let count = |scope: &Scope| {
        let cell = &scope.store[kind as usize];
        cell.set(cell.get().saturating_add(1));
    };
    SCOPE.try_with(count).unwrap_or_default();
}

/// Adds what the service charged for an operation, in request units; nothing outside a request.
pub fn store_charge(units: f64) {
    // Through text, because binary fractions of hundredths do not add up.
    let thousandths: u64 = format!("{units:.3}").replace('.', "").parse().unwrap_or(0);
    SCOPE.try_with(|scope| scope.charge.set(scope.charge.get().saturating_add(thousandths))).unwrap_or_default();
}

/// Counts one round trip to the shared cache that the request at hand waits for; nothing outside a request.
pub fn cache_trip() {
    SCOPE.try_with(|scope| scope.cache.set(scope.cache.get().saturating_add(1))).unwrap_or_default();
}

/// The counts so far as the value of a `Server-Timing` header (W3C Server Timing, `desc`); `ru` are
/// request units, where the service names any.
pub fn server_timing() -> Option<HeaderValue> {
    // Most answers of a warm process ask the store for nothing.
    const NOTHING: HeaderValue = HeaderValue::from_static("store;desc=\"reads=0 writes=0 queries=0\"");
    let seen = |it: &Scope| (it.store.each_ref().map(Cell::get), it.cache.get(), it.charge.get());
    let (counts, trips, charge) = SCOPE.try_with(seen).ok()?;
    let [reads, writes, queries] = counts;
    let units = || match charge {
        0 => String::new(),
        _ => format!(" ru={}.{:03}", charge / 1_000, charge % 1_000),
    };
    let store = || format!("store;desc=\"reads={reads} writes={writes} queries={queries}{}\"", units());
    match (counts, trips) {
        ([0, 0, 0], 0) => Some(NOTHING),
        (_, 0) => HeaderValue::try_from(store()).ok(),
        _ => HeaderValue::try_from(format!("{}, cache;desc=\"trips={trips}\"", store())).ok(),
    }
}

/// Something that is counted from the start of the process on, whichever request it befalls. Log lines carry it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How often the shared cache failed so that nobody asks it any more.
pub static CACHE_OPENED: Counter = Counter(AtomicU64::new(0));
/// How often the shared cache was connected, the first time included.
pub static CACHE_CONNECTED: Counter = Counter(AtomicU64::new(0));

impl Counter {
    /// Counts one; answers how many there are now.
    pub fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts logging to standard output at `level`: a level's name, or directives as in `info,offpeak=debug`.
/// A level that cannot be read becomes `info`, and says so. A panic becomes one line of the log.
pub fn init(level: &str) {
    let (filter, fault) = match EnvFilter::try_new(level) {
        Ok(filter) => (filter, None),
        Err(err) => (EnvFilter::new("info"), Some(err)),
    };
    // A second call, as tests in one process make, keeps the first subscriber.
    let first = tracing::subscriber::set_global_default(subscriber(filter, std::io::stdout)).is_ok();
    if first {
        std::panic::set_hook(Box::new(log_panic));
    }
    if let Some(fault) = fault {
        tracing::warn!(error = %fault, "The log level {level:?} cannot be read; info is used.");
    }
}

/// The subscriber that [`init`] installs, writing to `writer`.
pub fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().with_env_filter(filter).event_format(Line).with_writer(writer).finish()
}

/// The panic hook: where and what, as an error in the log of the request at hand.
pub fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a value that is not text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "Panicked: {text}");
}

/// One event as one line: time, level, the request's ids, message and fields.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        #[expect(clippy::disallowed_methods, reason = "a log line's time decides nothing")]
        let now = OffsetDateTime::now_utc();
        write!(
            out,
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {:>5}",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            now.millisecond(),
            event.metadata().level()
        )?;
        SCOPE.try_with(|scope| scope.write(&mut out)).unwrap_or(Ok(()))?;
        let mut text = String::new();
        ctx.format_fields(Writer::new(&mut text), event)?;
        out.write_char(' ')?;
        for (index, line) in text.lines().enumerate() {
            let gap = if index == 0 { "" } else { " | " };
            write!(out, "{gap}{}", line.trim_end_matches('\r'))?;
        }
        out.write_char('\n')
    }
}

impl Scope {
    fn write(&self, out: &mut Writer<'_>) -> fmt::Result {
        write!(out, " {}", self.function)?;
        if let Some(id) = self.invocation() {
            write!(out, " invocation={id}")?;
        }
        write!(out, " trace={:032x}", self.trace())?;
        match self.attempt.get() {
            0 | 1 => Ok(()),
            number => write!(out, " attempt={number}"),
        }
    }
}

/// The trace id of a `traceparent` value. Source: W3C Trace Context, section 3.2.
fn trace_id(value: &[u8]) -> Option<u128> {
    let (head, rest) = value.split_at_checked(55)?;
    let hex = |range: std::ops::Range<usize>| {
        let text = std::str::from_utf8(&head[range]).ok()?;
        let plain = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
    };
    let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let (version, trace, parent) = (hex(0..2)?, hex(3..35)?, hex(36..52)?);
    hex(53..55)?;
    // Version 0 ends here; a later one may go on after a dash. 255 is forbidden.
    let end = rest.is_empty() || (version > 0 && rest[0] == b'-');
    (dashes && end && version != 255 && trace != 0 && parent != 0).then_some(trace)
}

/// Unlike any other with all likelihood, and cheap; no secret, so no system randomness is spent on it.
fn fresh_trace_id() -> u128 {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = &*KEYS;
    // The lowest bit is set because a trace id of zero is invalid.
    (u128::from(high.hash_one(count)) << 64) | u128::from(low.hash_one(count) | 1)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn headers(traceparent: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(&INVOCATION_ID, HeaderValue::from_static("1c7a4f0e"));
        headers.insert("traceparent", HeaderValue::from_static(traceparent));
        headers
    }

    #[test]
    fn a_line_within_a_request_carries_its_ids_and_stays_one_line() {
        let headers = headers("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let text = logged(|| {
            SCOPE.sync_scope(Scope::of("get_product", &headers), || {
                attempt(2);
                tracing::info!(sku = "A-1", "Two\nlines.");
                tracing::debug!("Not at this level.");
            });
            tracing::warn!("Outside.");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let ids = " INFO get_product invocation=1c7a4f0e trace=4bf92f3577b34da6a3ce929d0e0e4736 attempt=2 Two | lines.";
        assert!(lines[0].contains(ids), "{text}");
        assert!(lines[0].ends_with("sku=\"A-1\""), "{text}");
        assert!(lines[1].ends_with("Z  WARN Outside."), "{text}");
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good.as_bytes()), Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736));
        assert!(trace_id(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what").is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(bad.as_bytes()), None, "{bad}");
        }
        let fresh = [0, 1].map(|_| Scope::of("x", &headers("nonsense")));
        assert_ne!(fresh[0].trace(), fresh[1].trace());
        assert_eq!(fresh[0].trace(), fresh[0].trace());
    }

    #[test]
    fn store_operations_are_counted_within_a_request_only() {
        store_op(StoreOp::Read);
        assert_eq!(server_timing(), None);
        SCOPE.sync_scope(Scope::of("x", &HeaderMap::new()), || {
            store_op(StoreOp::Read);
            store_op(StoreOp::Write);
            store_op(StoreOp::Write);
            assert_eq!(server_timing().unwrap(), "store;desc=\"reads=1 writes=2 queries=0\"");
            cache_trip();
            assert_eq!(server_timing().unwrap(), "store;desc=\"reads=1 writes=2 queries=0\", cache;desc=\"trips=1\"");
        });
    }
}
