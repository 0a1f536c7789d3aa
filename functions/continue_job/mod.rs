//! Queue `jobs`: does the next piece of a long job. A message that comes twice or late finds its piece done.
use offpeak_domain::ids::JobId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::verify::continue_job,
};

pub(super) const ROOM: Room<App> =
    Room::message("continue_job", include_str!("function.json"), |app, message| working(handle(app, message)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContinueJobMessage {
    job_id: String,
    slice: u32,
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let body: ContinueJobMessage = serde_json::from_slice(&message.body)?;
    continue_job(&app.shop, JobId::parse(&body.job_id)?, body.slice).await?;
    Ok(())
}
