//! Which room answers which request. Built once at start from the rooms' embedded `function.json`; a
//! fault in any of them is reported then, all together, and never met by a caller.
//!
//! Route templates hold literals and `{name}` only and do not overlap, because the host tries functions by
//! name, not by fitness. Literals match without regard to case and one trailing slash is accepted, as
//! the host does; parameters are percent-decoded exactly once.
use std::collections::HashMap;

use http::Method;
use percent_encoding::percent_decode_str;

use super::{
    admission::Traffic,
    binding::{Trigger, trigger},
    room::{BatchHandler, HttpHandler, METHODS, MessageHandler, Room, TimerHandler, Work},
};

/// Everything that is wrong with the rooms, one fault an entry.
#[derive(Debug, thiserror::Error)]
#[error("the functions cannot be served: {}", .0.join("; "))]
pub struct TableError(pub Vec<String>);

/// The rooms, found by path or by name.
pub struct Table<A> {
    routes: matchit::Router<usize>,
    http: Vec<HttpRoom<A>>,
    jobs: HashMap<&'static str, Job<A>>,
}

/// A room that answers HTTP requests handed over whole.
pub(super) struct HttpRoom<A> {
    pub(super) name: &'static str,
    pub(super) body_max_bytes: usize,
    pub(super) traffic: Traffic,
    /// The value of `Allow`.
    pub(super) allow: String,
    handlers: [Option<HttpHandler<A>>; METHODS.len()],
    /// In the order of the path.
    params: Vec<&'static str>,
}

/// A room that the host invokes with an envelope.
pub(super) struct Job<A> {
    pub(super) name: &'static str,
    pub(super) trigger: Trigger,
    pub(super) work: JobWork<A>,
}

pub(super) enum JobWork<A> {
    Messages(MessageHandler<A>),
    Events(BatchHandler<A>),
    Timer(TimerHandler<A>),
}

/// A parameter that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadParameter(pub(super) &'static str);

pub(super) type Params = Vec<(&'static str, String)>;

impl<A> Table<A> {
    /// The table of these rooms, their HTTP routes under `/prefix/`.
    ///
    /// # Errors
    /// Every fault found: an unreadable or unfit `function.json`, a name or route used twice, templates
    /// that overlap or hold more than literals and `{name}`.
    pub fn new(rooms: &[Room<A>], prefix: &str) -> Result<Table<A>, TableError> {
        let mut table = Table { routes: matchit::Router::new(), http: Vec::new(), jobs: HashMap::new() };
        let mut faults = Vec::new();
        // Under an empty prefix any caller could reach `/<function>` with a forged invocation.
        if prefix.is_empty() || !prefix.split('/').all(is_literal) {
            faults.push(format!("the route prefix {prefix:?} must be one or more literal segments"));
        }
        let mut names: Vec<String> = Vec::new();
        let mut templates: Vec<(&'static str, String)> = Vec::new();
        for room in rooms {
            if !is_name(room.name) {
                faults.push(format!("{}: not a function's name", room.name));
            }
            if names.contains(&room.name.to_ascii_lowercase()) {
                faults.push(format!("{}: the name is used twice", room.name));
            }
            names.push(room.name.to_ascii_lowercase());
            if let Err(fault) = table.add(room, prefix, &mut templates) {
                faults.push(format!("{}: {fault}", room.name));
            }
        }
        if faults.is_empty() { Ok(table) } else { Err(TableError(faults)) }
    }

    fn add(&mut self, room: &Room<A>, prefix: &str, templates: &mut Vec<(&'static str, String)>) -> Result<(), String> {
        let name = room.name;
        let trigger = trigger(name, room.binding)?;
        let work = match (trigger, &room.work) {
            (Trigger::Http { route }, Work::Http { handlers, body_max_bytes, traffic }) => {
                let template = template(prefix, route)?;
                if let Some((other, _)) = templates.iter().find(|(_, other)| overlap(other, &template)) {
                    return Err(format!("the route {route:?} overlaps that of {other}"));
                }
                let params = route.split('/').filter_map(parameter).collect();
                if handlers.iter().all(Option::is_none) {
                    return Err("the room answers no method".to_owned());
                }
                self.routes.insert(template.clone(), self.http.len()).map_err(|err| err.to_string())?;
                templates.push((name, template));
                let (handlers, body_max_bytes, traffic) = (*handlers, *body_max_bytes, *traffic);
                let allow = allow(&handlers);
                self.http.push(HttpRoom { name, body_max_bytes, traffic, allow, handlers, params });
                return Ok(());
            }
            (Trigger::Messages { .. }, Work::Message(handler)) => JobWork::Messages(*handler),
            (Trigger::Events { .. }, Work::Events(handler)) => JobWork::Events(*handler),
            (Trigger::Timer { .. }, Work::Timer(handler)) => JobWork::Timer(*handler),
            (trigger, _) => return Err(format!("the room's work does not fit its trigger, {trigger:?}")),
        };
        self.jobs.insert(name, Job { name, trigger, work });
        Ok(())
    }

    /// The HTTP room of this path, with its parameters or the one that cannot be decoded.
    pub(super) fn http(&self, path: &str) -> Option<(&HttpRoom<A>, Result<Params, BadParameter>)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let lower = path.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| path.to_ascii_lowercase());
        let matched = self.routes.at(lower.as_deref().unwrap_or(path)).ok()?;
        let room = self.http.get(*matched.value)?;
        // Lower case keeps every byte in its place: a parameter is read where it stands in the path as sent.
        let start = lower.as_deref().unwrap_or(path).as_ptr().addr();
        let decode = |(&name, (_, found)): (&&'static str, (&str, &str))| {
            let at = found.as_ptr().addr() - start;
            let text = path.get(at..at + found.len()).and_then(decode_once);
            text.map(|text| (name, text)).ok_or(BadParameter(name))
        };
        let params = room.params.iter().zip(matched.params.iter()).map(decode).collect();
        Some((room, params))
    }

    /// The invoked function of this path: one segment, the function's name to the letter.
    pub(super) fn job(&self, path: &str) -> Option<&Job<A>> {
        self.jobs.get(path.strip_prefix('/')?)
    }
}

impl<A> HttpRoom<A> {
    /// The handler of this method; `HEAD` is `GET`.
    pub(super) fn handler(&self, method: &Method) -> Option<HttpHandler<A>> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let index = METHODS.iter().position(|known| known == method)?;
        self.handlers[index]
    }
}

fn allow<T>(handlers: &[Option<T>; METHODS.len()]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for (method, handler) in METHODS.iter().zip(handlers) {
        if handler.is_some() {
            methods.push(method.as_str());
            if method == Method::GET {
                methods.push("HEAD");
            }
        }
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// `/prefix/route` with its literals in lower case.
fn template(prefix: &str, route: &str) -> Result<String, String> {
    let mut template = format!("/{}", prefix.to_ascii_lowercase());
    for segment in route.split('/') {
        template.push('/');
        if let Some(name) = parameter(segment) {
            if !is_name(name) {
                return Err(format!("{segment:?} in the route {route:?} is not a plain parameter"));
            }
            template.push_str(segment);
        } else if is_literal(segment) {
            template.push_str(&segment.to_ascii_lowercase());
        } else {
            return Err(format!("{segment:?} in the route {route:?} is neither a literal nor {{name}}"));
        }
    }
    Ok(template)
}

/// Whether some path fits both templates.
fn overlap(one: &str, other: &str) -> bool {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    let meet = |(a, b): (&&str, &&str)| a == b || parameter(a).is_some() || parameter(b).is_some();
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(meet)
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn is_literal(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Source: the host's rule for function names, `^[a-z][a-z0-9_\-]{0,127}$` ignoring case, not `host`.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= 128
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && !name.eq_ignore_ascii_case("host")
}

fn decode_once(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if (0..bytes.len()).any(|at| bytes[at] == b'%' && !escape(at)) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
