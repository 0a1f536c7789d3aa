//! A connection's socket that does not wait for ever: for the rest of a request's headers, for the next
//! request, or for a client that takes nothing of its answer. While a request is being worked on it waits
//! without limit: the body and the work have their own.
//!
//! Kept apart from hyper's own header time-out because that one counts the idle time before a request's
//! first byte too, and arms a timer for each request. Here a timer is armed when a wait begins that is
//! shorter than the one already armed; a busy connection almost never touches it.
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::limits::Limits;

/// What a connection waits for; shared between its socket and its service, which run in one task.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
const ANSWERED: u8 = 3;

impl Phase {
    /// A request's headers are complete.
    pub(super) fn busy(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// Its answer is ready to be written.
    pub(super) fn answered(&self) {
        self.0.store(ANSWERED, Ordering::Relaxed);
    }
}

pub(super) struct Socket {
    stream: TcpStream,
    phase: Phase,
    limits: Limits,
    /// When the present wait for bytes ends; set when it begins.
    due: Option<Instant>,
    read_timer: Option<Pin<Box<Sleep>>>,
    /// Only while a write is stuck.
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, phase: Phase, limits: Limits) -> Socket {
        Socket { stream, phase, limits, due: None, read_timer: None, write_timer: None }
    }

    fn enter(&mut self, phase: u8) {
        self.phase.0.store(phase, Ordering::Relaxed);
        self.due = None;
    }

    /// Also while a request is being worked on a timer stays armed: hyper may not look at the socket again
    /// when the answer is out, so it is the timer that makes it look, and the wait for the next request is
    /// counted from then on at the latest.
    fn wait_to_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = match self.phase.0.load(Ordering::Relaxed) {
            BUSY => None,
            HEAD => Some(self.limits.head_time),
            _ => Some(self.limits.idle_time),
        };
        let due = limit.map(|limit| *self.due.get_or_insert_with(|| Instant::now() + limit));
        let later = || Instant::now() + self.limits.idle_time;
        let timer = self.read_timer.get_or_insert_with(|| Box::pin(sleep_until(due.unwrap_or_else(later))));
        if let Some(due) = due.filter(|due| timer.deadline() > *due) {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            match due {
                Some(due) if timer.deadline() >= due => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                // It was armed for an earlier wait, which ended in time.
                due => timer.as_mut().reset(due.unwrap_or_else(later)),
            }
        }
    }

    fn wait_to_write<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.write_timer = None;
            return done;
        }
        let due = || Box::pin(sleep_until(Instant::now() + self.limits.write_time));
        ready!(self.write_timer.get_or_insert_with(due).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.phase.0.load(Ordering::Relaxed) == ANSWERED {
            self.enter(IDLE);
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(done) => {
                if buf.filled().len() > before && self.phase.0.load(Ordering::Relaxed) == IDLE {
                    self.enter(HEAD);
                }
                Poll::Ready(done)
            }
            Poll::Pending => self.wait_to_read(cx),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wait_to_write(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wait_to_write(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
