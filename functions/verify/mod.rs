//! `POST /api/v1/manage/verify`: checks the store against its invariants, for staff.
//!
//! A small store is checked before the answer; a large one becomes a job, whose address is in `Location`. It
//! only reads, so it may be asked for at any time and any number of times.
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::verify::{Ask, Limits, SAMPLE_MAX, Verified, verify},
    views::verify::{job_reply, report_reply},
};

pub(super) const ROOM: Room<App> =
    Room::http("verify", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

/// An absent body asks for everything.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    /// RFC 3339; only purchases that changed since then.
    since: Option<String>,
    /// One purchase in so many.
    sample: Option<serde_json::Number>,
}

impl VerifyBody {
    fn parse(&self) -> Result<Ask, Problem> {
        let since = self.since.as_deref().map(|it| OffsetDateTime::parse(it, &Rfc3339)).transpose();
        let since = since.map_err(|_| Problem::invalid("since", "an RFC 3339 time such as 2026-01-31T12:00:00Z"))?;
        let sample = self.sample.as_ref().map(|it| it.as_u64().and_then(|it| u32::try_from(it).ok()));
        match sample.unwrap_or(Some(1)) {
            Some(sample) if (1..=SAMPLE_MAX).contains(&sample) => Ok(Ask { since, sample }),
            _ => Err(Problem::invalid("sample", format!("a whole number from 1 to {SAMPLE_MAX}"))),
        }
    }
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_reports").await?;
    let body: VerifyBody = if call.body.is_empty() { VerifyBody::default() } else { call.json()? };
    match verify(&app.shop, body.parse()?, Limits::AT_ONCE).await {
        Ok(Verified::Done(report)) => report_reply(&report),
        Ok(Verified::Job(job)) => job_reply(&job),
        Err(err) => Err(err.into()),
    }
}
