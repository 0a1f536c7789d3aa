//! Hub `clicks`: what shoppers did. Kept once, and laid over the model within the minute. A batch that cannot be kept
//! comes again until it can; one bad event is set aside and stops nothing.
use crate::shared::{
    app::App,
    host::room::{Event, Room, TriggerError, working},
    operations::clicks::ingest::{Arrived, ingest},
};

pub(super) const ROOM: Room<App> =
    Room::events("ingest_clicks", include_str!("function.json"), |app, events| working(handle(app, events)));

#[derive(Debug, thiserror::Error)]
#[error("the host says neither partition nor number of an event, so nobody could tell it from its repeat")]
struct Nameless;

async fn handle(app: &App, events: Vec<Event>) -> Result<(), TriggerError> {
    let Some(partition) = events.first().and_then(|it| it.partition.as_deref()) else { return Err(Nameless.into()) };
    let arrived: Option<Vec<Arrived<'_>>> =
        events.iter().map(|it| it.sequence_number.map(|number| Arrived { number, body: &it.body })).collect();
    let done = ingest(&app.shop.ports, partition, &arrived.ok_or(Nameless)?).await?;
    tracing::debug!(event.count = done.clicks, "{} clicks of partition {partition} were kept.", done.clicks);
    Ok(())
}
