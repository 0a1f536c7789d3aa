//! A room: one Azure Function. Its name, its `function.json` and what it does, as one value; the route
//! and the trigger are read from the embedded `function.json`, so they are written once.
use std::{future::Future, pin::Pin};

use http::Method;

use super::{admission::Traffic, call::Call, problem::Problem, reply::Reply};

pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;
pub type Working<'a> = Pin<Box<dyn Future<Output = Result<(), TriggerError>> + Send + 'a>>;

/// Answers one HTTP request.
pub type HttpHandler<A> = for<'a> fn(&'a A, Call) -> Answering<'a>;
/// Works on one message. `Ok` completes it; `Err` hands it back and, after the last try, dead-letters it.
pub type MessageHandler<A> = for<'a> fn(&'a A, Message) -> Working<'a>;
/// Works on a batch of events.
pub type BatchHandler<A> = for<'a> fn(&'a A, Vec<Event>) -> Working<'a>;
/// Runs a sweep. The input only says whether the tick came late.
pub type TimerHandler<A> = for<'a> fn(&'a A, Tick) -> Working<'a>;

/// At a trigger's edge only the log reads the error.
pub type TriggerError = Box<dyn std::error::Error + Send + Sync>;

/// A queue or topic message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's bytes.
    pub body: Vec<u8>,
    /// The broker's message id; a body with a `MessageId` member hides it, so never use it for security.
    pub message_id: Option<String>,
    /// 1 on the first delivery, and whenever a body with a `DeliveryCount` member hides the broker's.
    pub delivery_count: u32,
}

/// One event of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub body: Vec<u8>,
    pub sequence_number: Option<i64>,
    pub partition: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub is_past_due: bool,
    /// 0 on the first try; counts up only where `function.json` sets a retry policy.
    pub retry_count: u32,
}

/// What a room does, by trigger.
pub enum Work<A> {
    Http { handlers: [Option<HttpHandler<A>>; METHODS.len()], body_max_bytes: usize, traffic: Traffic },
    Message(MessageHandler<A>),
    Events(BatchHandler<A>),
    Timer(TimerHandler<A>),
}

/// The methods a room can answer; `HEAD` follows `GET` and `OPTIONS` is answered by the table.
pub const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Largest body unless a room says otherwise.
pub const BODY_MAX_BYTES: usize = 256 * 1024;

/// One function. `A` is what handlers are given: the app, or a probe in tests.
pub struct Room<A> {
    pub name: &'static str,
    /// The text of `function.json` beside the room.
    pub binding: &'static str,
    pub work: Work<A>,
}

impl<A> Room<A> {
    pub const fn http(name: &'static str, binding: &'static str) -> Room<A> {
        let (handlers, body_max_bytes, traffic) = ([None; METHODS.len()], BODY_MAX_BYTES, Traffic::Plain);
        Room { name, binding, work: Work::Http { handlers, body_max_bytes, traffic } }
    }

    pub const fn message(name: &'static str, binding: &'static str, handler: MessageHandler<A>) -> Room<A> {
        Room { name, binding, work: Work::Message(handler) }
    }

    pub const fn events(name: &'static str, binding: &'static str, handler: BatchHandler<A>) -> Room<A> {
        Room { name, binding, work: Work::Events(handler) }
    }

    pub const fn timer(name: &'static str, binding: &'static str, handler: TimerHandler<A>) -> Room<A> {
        Room { name, binding, work: Work::Timer(handler) }
    }

    #[must_use]
    pub const fn get(self, handler: HttpHandler<A>) -> Room<A> {
        self.on(0, handler)
    }

    #[must_use]
    pub const fn post(self, handler: HttpHandler<A>) -> Room<A> {
        self.on(1, handler)
    }

    #[must_use]
    pub const fn put(self, handler: HttpHandler<A>) -> Room<A> {
        self.on(2, handler)
    }

    #[must_use]
    pub const fn patch(self, handler: HttpHandler<A>) -> Room<A> {
        self.on(3, handler)
    }

    #[must_use]
    pub const fn delete(self, handler: HttpHandler<A>) -> Room<A> {
        self.on(4, handler)
    }

    /// The largest body this HTTP room takes, in bytes.
    #[must_use]
    pub const fn body_max(mut self, bytes: usize) -> Room<A> {
        match &mut self.work {
            Work::Http { body_max_bytes, .. } => *body_max_bytes = bytes,
            _ => unreachable!(),
        }
        self
    }

    /// What requests to this HTTP room count as; unless it is said, plain.
    #[must_use]
    pub const fn counted_as(mut self, kind: Traffic) -> Room<A> {
        match &mut self.work {
            Work::Http { traffic, .. } => *traffic = kind,
            _ => unreachable!(),
        }
        self
    }

    /// Only for HTTP rooms; a `const` room of another kind fails to compile.
    const fn on(mut self, method: usize, handler: HttpHandler<A>) -> Room<A> {
        match &mut self.work {
            Work::Http { handlers, .. } => handlers[method] = Some(handler),
            _ => unreachable!(),
        }
        self
    }
}

/// Boxes a handler's future; lets a room write `.get(|app, call| answering(handle(app, call)))`.
pub fn answering<'a>(future: impl Future<Output = Result<Reply, Problem>> + Send + 'a) -> Answering<'a> {
    Box::pin(future)
}

/// As [`answering`], for messages, events and timers.
pub fn working<'a>(future: impl Future<Output = Result<(), TriggerError>> + Send + 'a) -> Working<'a> {
    Box::pin(future)
}
