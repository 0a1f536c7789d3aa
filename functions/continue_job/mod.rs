//! Queue `jobs`: does the next piece of a long job. A message that comes twice or late finds its piece done.
use offpeak_domain::ids::JobId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::{
        recommendations::refresh::{self, continue_refresh},
        verify::continue_job,
    },
};

pub(super) const ROOM: Room<App> =
    Room::message("continue_job", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContinueJobMessage {
    /// Without it, a check of the store.
    kind: Option<String>,
    job_id: String,
    slice: u32,
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let body: ContinueJobMessage = serde_json::from_slice(&message.body)?;
    let id = JobId::parse(&body.job_id)?;
    match body.kind.as_deref() {
        None => continue_job(&app.shop, id, body.slice).await?,
        Some(refresh::KIND) => drop(continue_refresh(&app.shop, id, body.slice).await?),
        Some(other) => return Err(format!("there is no job of the kind {other}").into()),
    }
    Ok(())
}
