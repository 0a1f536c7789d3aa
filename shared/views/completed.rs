//! The answer of a call that has an idempotency key, as it goes out: new, or replayed.
use http::{HeaderName, StatusCode, header};

use crate::shared::{host::reply::Reply, operations::kept_answers::Completed};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub fn answer(completed: Completed) -> Reply {
    let Completed { rendered, replayed } = completed;
    let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::ready(status, rendered.body);
    if !status.is_success() {
        reply = reply.header(header::CONTENT_TYPE, "application/problem+json");
    }
    if replayed { reply.header(REPLAYED, "true") } else { reply }
}
