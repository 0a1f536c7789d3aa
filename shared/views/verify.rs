//! What a check of the store found, as staff see it.
use http::{StatusCode, header};
use offpeak_domain::code::Code;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::shared::{
    host::{problem::Problem, reply::Reply},
    operations::verify::{Invariant, Job, JobError, Report, VerifyError},
};

/// When to ask again for a job that goes on, in seconds.
const ASK_AGAIN_S: &str = "2";

fn report_view(report: &Report) -> Value {
    let invariant = |it: Invariant| {
        let tally = report.tally(it);
        let violations = tally.violations.iter().map(|it| json!({ "subject": it.subject, "detail": it.detail }));
        json!({
            "id": it.name(),
            "title": it.title(),
            "ok": tally.violations.is_empty(),
            "checked": tally.checked,
            "violations": violations.collect::<Vec<_>>(),
            "more": tally.more,
        })
    };
    json!({
        "ok": report.is_ok(),
        "purchases": report.purchases,
        "busy": report.busy,
        "invariants": Invariant::ALL.map(invariant),
    })
}

/// 200 with the whole report.
///
/// # Errors
/// Never in practice: see [`Reply::ok`].
pub fn report_reply(report: &Report) -> Result<Reply, Problem> {
    Reply::ok(&report_view(report))
}

/// 200 once it is done; 202 with what was found so far while it goes on.
///
/// # Errors
/// As [`report_reply`].
pub fn job_reply(job: &Job) -> Result<Reply, Problem> {
    let mut view = report_view(&job.progress.report);
    view["job"] = json!({
        "id": job.id,
        "done": job.is_done(),
        "phase": job.progress.phase,
        "cursor": job.progress.after,
        "startedAt": job.started_at.format(&Rfc3339).ok(),
        "updatedAt": job.updated_at.format(&Rfc3339).ok(),
    });
    if job.is_done() {
        return Reply::ok(&view);
    }
    let reply = Reply::json(StatusCode::ACCEPTED, &view)?;
    let location = format!("/api/v1/manage/verify/{}", job.id);
    Ok(reply.header(header::LOCATION, &location).header(header::RETRY_AFTER, ASK_AGAIN_S))
}

impl From<VerifyError> for Problem {
    fn from(err: VerifyError) -> Problem {
        match err {
            VerifyError::Store(err) => err.into(),
            VerifyError::Payment(_) | VerifyError::Bus(_) => {
                tracing::warn!(error = %crate::shared::ports::chain(&err), "A check of the store could not go on.");
                Problem::new(Code::Unavailable, "The payment provider or the broker does not answer. Ask again.")
                    .retry_after(5)
            }
        }
    }
}

impl From<JobError> for Problem {
    fn from(err: JobError) -> Problem {
        match err {
            JobError::NotFound => Problem::new(Code::NotFound, "There is no such job. Jobs are kept for 30 days."),
            JobError::Verify(err) => err.into(),
        }
    }
}
